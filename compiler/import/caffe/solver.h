// Caffe's solver files (SolverParameter, as text): how a net is trained. Every field means what it
// means to Caffe; those that concern devices, debugging and the form of snapshots mean nothing
// here.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ir/support/status.h"
#include "passes/training/solver.h"
#include "runtime/train/rate_policy.h"

namespace kiln {

struct CaffeSolver {
  std::string net;                   ///< file of the net to train; empty: none is named
  std::string test_net;              ///< of the net to test with; empty: the same in its phase TEST
  std::vector<std::string> weights;  ///< .caffemodel files to begin with
  SolverOptions solver;
  RatePolicy rate;
  int64_t max_iterations = 0;
  int64_t test_iterations = 0;      ///< batches to a test; 0: the net is not tested
  int64_t test_interval = 0;        ///< iterations between tests; 0: none on the way
  bool test_initialization = true;  ///< test before the first iteration
  int64_t display = 0;              ///< iterations between lines; 0: none
  int64_t average_loss = 1;         ///< iterations that the loss displayed is the mean of
  int64_t snapshot = 0;             ///< iterations between snapshots; 0: none on the way
  std::optional<uint64_t> seed;
};

/// Reads a solver. Errors name the field.
StatusOr<CaffeSolver> ParseCaffeSolver(std::span<const char> bytes);

/// Reads it from a file; errors begin with the path.
StatusOr<CaffeSolver> ReadCaffeSolver(const std::string& path);

/// The mean image in a .binaryproto file (BlobProto, [1, C, H, W]), as Caffe subtracts it.
StatusOr<std::vector<float>> ReadCaffeMean(const std::string& path);

}  // namespace kiln
