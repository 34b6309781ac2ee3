// Import of model files: one door for all formats. The format is told from the content.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ir/graph/graph.h"
#include "ir/graph/tensor.h"
#include "ir/support/status.h"

namespace kiln {

struct ImportOptions {
  /// Shapes of inputs by name, for what the model leaves open. They must fit what it does not.
  std::map<std::string, Shape> input_shapes;
  /// The leading dimension of every input whose model leaves it open.
  std::optional<int64_t> batch;
  /// Values of inputs that the compiler may use where an operand must be known when compiling (the
  /// shape of a Reshape). The input stays in the signature; the module is then good for this value
  /// only, and its metadata entry "specialised" names the input.
  std::map<std::string, Tensor> known_inputs;
  /// Fills weights that the model's files lack, by the model's own fillers where it has such, from
  /// this seed. Without it they stay unknown.
  std::optional<uint64_t> param_seed;
  /// The graph that is trained is wanted, where the format tells it from the one that is used
  /// (Caffe's phases).
  bool training = false;
  /// The shape of an item, [C, H, W], of inputs whose model says but how many there are in a batch
  /// (Caffe's data layers).
  std::optional<Shape> item_shape;
  /// The name of a format (see ImportFormats); empty: told from the content.
  std::string format;
  /// The number of elements of inputs that are sequences; 0 for optional inputs that are absent.
  /// Element I is the input "NAME[I]".
  std::map<std::string, int64_t> sequence_lengths;
};

/// Imports the model in `paths` (one file, or the two or more that its format has). A foreign model
/// becomes one function, "forward". Every line of an error's message starts with the path. All that
/// Kiln does not support is reported at once, an Unimplemented status with a line per problem:
/// "PATH: NODE: reason".
StatusOr<std::unique_ptr<Module>> ImportModel(const std::vector<std::string>& paths,
                                              const ImportOptions& options);

/// An operator of a foreign format that can be imported.
struct ImportableOp {
  std::string name;
  std::string versions;  ///< "7 to 27"; empty where the format has none
  std::string limits;    ///< what of it is not supported; often empty
};

/// The operators of a format; InvalidInput when there is no such format, empty for Kiln's own.
StatusOr<std::vector<ImportableOp>> ImportableOps(const std::string& format);

/// The names of all formats.
std::vector<std::string> ImportFormats();

}  // namespace kiln
