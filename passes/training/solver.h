// Solvers: the update of the parameters from their gradients, as ops appended to the function that
// computes them. State (momentum, mean squares) is kept in parameters of the module, which the
// function updates as it updates the weights.
//
// The order and the formulas are those of Caffe (src/caffe/solvers): with the gradient g of a
// parameter w, already summed over `iter_size` batches,
//
//   g := g min(1, clip / |all g|)                            over all parameters at once
//   g := g / iter_size
//   g := g + decay w   or   g + decay sign(w)                decay = weight_decay * decay_mult
//   w := w - step                                            rate = learning_rate * rate_mult
//
//   SGD        h = rate g + m h                  step = h
//   Nesterov   h' = rate g + m h                 step = (1 + m) h' - m h
//   AdaGrad    h = h + g^2                       step = rate g / (sqrt(h) + delta)
//   RMSProp    h = r h + (1 - r) g^2             step = rate g / (sqrt(h) + delta)
//   AdaDelta   h = m h + (1 - m) g^2             u = g sqrt((delta + H) / (delta + h))
//              H = m H + (1 - m) u^2             step = rate u
//   Adam       a = b1 a + (1 - b1) g             v = b2 v + (1 - b2) g^2
//              step = rate sqrt(1 - b2^t) / (1 - b1^t) a / (sqrt(v) + delta)
//   AdamW      Adam without decay in g           step += rate decay w     (Loshchilov, Hutter 2019)
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ir/graph/graph.h"
#include "ir/support/status.h"

namespace kiln {

enum class SolverKind { kSgd, kNesterov, kAdaGrad, kRmsProp, kAdaDelta, kAdam, kAdamW };

/// "sgd", "nesterov", "adagrad", "rmsprop", "adadelta", "adam", "adamw".
std::string_view Name(SolverKind kind);
std::optional<SolverKind> ParseSolverKind(std::string_view name);

enum class Regularization { kL2, kL1 };

/// Caffe's lr_mult and decay_mult.
struct Multipliers {
  double rate = 1;
  double decay = 1;
};

struct SolverOptions {
  SolverKind kind = SolverKind::kSgd;
  double momentum = 0.9;     ///< m; Adam's b1
  double momentum2 = 0.999;  ///< Adam's b2
  double rms_decay = 0.99;   ///< r
  double delta = 1e-8;
  double weight_decay = 0;
  Regularization regularization = Regularization::kL2;
  double clip_norm = 0;                            ///< 0: gradients are not clipped
  int iter_size = 1;                               ///< batches to an update, >= 1
  std::map<std::string, Multipliers> multipliers;  ///< by parameter; all others have 1 and 1
};

/// An error that names the first option which makes no sense.
Status Check(const SolverOptions& options);

/// A parameter and its gradient, an op of the function.
struct ParameterGradient {
  std::string parameter;
  Op* gradient;
};

/// Makes `function` update the parameters. It gets the input `learning_rate` (f32[]) and, for Adam
/// and AdamW, `step` (i64[]), the number of updates done before, from 0. With iter_size > 1 the
/// gradients of the earlier batches are read from the accumulators, which are cleared.
Status AppendUpdates(Graph& function, const std::vector<ParameterGradient>& gradients,
                     const SolverOptions& options);

/// Makes `function` add the gradients to the accumulators, which AppendUpdates reads.
Status AppendAccumulation(Graph& function, const std::vector<ParameterGradient>& gradients);

}  // namespace kiln
