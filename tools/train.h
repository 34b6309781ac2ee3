// What the files of `kiln train` share: its options, and the model made ready to be trained.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "passes/training/train_step.h"
#include "runtime/train/dataset_files.h"
#include "runtime/train/run.h"
#include "tools/model.h"

namespace kiln {

struct TrainOptions {
  ModelOptions model;
  CompileFlags compile;
  std::string data;
  std::string loss = "softmax-cross-entropy";
  std::string output;
  double epochs = 10;
  Transform transform{.mean = {0}, .scale = 1.0f / 255};
  DatasetOptions dataset;
  std::string optimizer = "sgd";
  SolverOptions solver;
  std::string policy = "fixed";
  RatePolicy rate;
  RunOptions run;
};

/// "softmax-cross-entropy", "mse", ...: the losses that --loss adds.
std::vector<std::string> LossNames();

/// The module to compile: the functions `loss` and `train_step` made from `model`'s `forward`, and
/// nothing else.
StatusOr<std::unique_ptr<Module>> MakeTrainingModule(const Module& model,
                                                     const TrainOptions& options);

/// From where on a model's single score says "the second of two classes".
float YesThreshold(const Module& model, const TrainOptions& options);

/// `module` with the values that a parameter block of `library` holds.
void StoreParameters(Module& module, const kiln_library_info& library, const char* block);

/// Which op of `train_step` first gives a number that is not finite; empty when none does, or when
/// that cannot be found out.
std::string FindFirstNotFinite(const Module& training, const kiln_library_info& library,
                               const char* block, const CompileOptions& compile,
                               const TrainerOptions& trainer, const Dataset& dataset,
                               const Transform& transform, const Batch& batch, int64_t step);

/// Before the start: parameters, memory by class, the data found, the seed.
void Introduce(const Module& model, const Module& training, const Executable& executable,
               const DatasetSplit& data, const TrainOptions& options, const Globals& globals);

}  // namespace kiln
