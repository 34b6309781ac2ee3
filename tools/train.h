// What the files of `kiln train` share: its options, and the model made ready to be trained.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "runtime/train/run.h"
#include "tools/model.h"
#include "tools/train_data.h"
#include "tools/training_functions.h"

namespace kiln {

struct TrainOptions {
  ModelOptions model;
  CompileFlags compile;
  DataOptions data;
  std::string output;
  double epochs = 10;
  Transform transform;
  std::string solver_file;
  std::string test_net;         ///< of the solver; empty: the model in its phase TEST
  int64_t display = 0;          ///< steps between lines of the loss
  std::set<std::string> given;  ///< options that the command line has
  StepOptions step;
  std::string policy = "fixed";
  RatePolicy rate;
  RunOptions run;
};

/// The model in its two forms.
struct TrainModel {
  std::unique_ptr<Module> model;     ///< as it is used, and saved
  std::unique_ptr<Module> training;  ///< what is compiled: train_step, the function to test with
  std::string test = "loss";         ///< that function's name
};

/// Reads the model, in both its phases where it has such, and makes the functions of training. A
/// model without weights gets its fillers'. What a Caffe net says of transformations, multipliers
/// and statistics goes into `options` where the command line does not say otherwise.
StatusOr<TrainModel> LoadTrainModel(TrainOptions& options, const Dataset& data,
                                    const Globals& globals);

/// Takes over what the file --solver says, but for what the command line says itself.
Status ApplySolver(TrainOptions& options);

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
