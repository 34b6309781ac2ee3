// What takes a state along from call to call, of opset 27: CausalConvWithState, LinearAttention.
#include <cmath>

#include "compiler/import/foreign/build.h"
#include "compiler/import/onnx/node.h"
#include "compiler/import/onnx/ops/attention.h"

namespace kiln::onnx_import {

namespace {

constexpr int64_t kMaxSteps = 1024;

// A depthwise convolution of the signal [batch, channels, length] behind what came before it, of
// which the last positions are the next state.
Status CausalConvWithState(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op * x, n.operand(0));
  KILN_ASSIGN_OR_RETURN(Op* const w, n.operand(1));
  if (Rank(x) != 3 || Rank(w) != 3 || w->shape()[2] < 1 ||
      w->shape() != Shape{x->shape()[1], 1, w->shape()[2]}) {
    return InvalidInput("weights of ", w->type().ToString(), " do not fit ", x->type().ToString());
  }
  const int64_t before = w->shape()[2] - 1;
  const std::vector<int64_t> ones = {1}, none = {0};
  if (n.Has(3)) {
    KILN_ASSIGN_OR_RETURN(const TensorType past, n.OperandType(3));
    if (past.shape != Shape{x->shape()[0], x->shape()[1], before}) {
      return InvalidInput("operand 'past_state' is ", past.ToString(), ", expected a length of ",
                          before);
    }
    KILN_ASSIGN_OR_RETURN(x, n.Make("concat", {n.operand(3), x}, {{"axis", int64_t{2}}}));
  } else {
    KILN_ASSIGN_OR_RETURN(x, n.Make("pad", {x},
                                    {{"low", std::vector<int64_t>{0, 0, before}},
                                     {"high", std::vector<int64_t>{0, 0, 0}}}));
  }
  StatusOr<Op*> y = n.Make("conv", {x, w},
                           {{"strides", ones},
                            {"dilations", ones},
                            {"pads_low", none},
                            {"pads_high", none},
                            {"groups", w->shape()[0]}});
  if (n.Has(2)) y = AddBias(b, y, n.operand(2));
  const std::string activation = n.String("activation", "none");
  if (activation == "silu" || activation == "swish") {
    y = b.Mul(y, n.Make("sigmoid", {y}));
  } else if (activation != "none") {
    return InvalidInput("attribute 'activation' is ", Quote(activation));
  }
  KILN_RETURN_IF_ERROR(n.Result(0, y));
  return n.Result(1, SliceAxis(b, x, 2, x->shape()[2] - before, before));
}

/// A LinearAttention, one step after the other. State S is [batch, heads, key size, value size].
/// Narrow floats are computed with in f32, as the operator's reference does.
class LinearAttentionBuilder {
 public:
  explicit LinearAttentionBuilder(Node& node) : n_(node), b_(node.builder()) {}

  Status Run() {
    KILN_RETURN_IF_ERROR(ReadOperands());
    std::vector<StatusOr<Op*>> outputs;
    for (int64_t step = 0; step < query_->shape()[2]; ++step) {
      KILN_RETURN_IF_ERROR(Advance(step));
      // Queries that share a head of keys are the rows of one matrix.
      const Shape& state = state_->shape();
      const int64_t heads = query_->shape()[1];
      const StatusOr<Op*> query =
          b_.Reshape(At(query_, step), {state[0], state[1], heads / state[1], state[2]});
      outputs.push_back(b_.Reshape(b_.MulScalar(n_.Make("matmul", {query, state_}), scale_),
                                   {state[0], heads, 1, state[3]}));
    }
    KILN_ASSIGN_OR_RETURN(Op* const y, outputs.size() == 1
                                           ? outputs[0]
                                           : n_.Make("concat", outputs, {{"axis", int64_t{2}}}));
    KILN_RETURN_IF_ERROR(n_.Result(0, b_.Cast(JoinHeads(b_, y), element_)));
    return n_.Result(1, b_.Cast(state_, state_element_));
  }

 private:
  StatusOr<Op*> Wide(int operand) {
    KILN_ASSIGN_OR_RETURN(Op* const x, n_.operand(operand));
    return ByteSize(x->element()) == 2 ? b_.Cast(x, ElementType::kF32) : x;
  }

  StatusOr<Op*> Heads(int operand, const std::string& name, int64_t heads) {
    KILN_ASSIGN_OR_RETURN(Op* const x, Wide(operand));
    if (Rank(x) == 3) return SplitHeads(b_, x, heads);
    return InvalidInput("operand '", name, "' needs 3 dimensions, found ", x->type().ToString());
  }

  Status ReadOperands() {
    const std::string rule = n_.String("update_rule", "gated_delta");
    const bool gated = rule == "gated" || rule == "gated_delta";
    delta_ = rule == "delta" || rule == "gated_delta";
    if (!gated && !delta_ && rule != "linear") {
      return InvalidInput("attribute 'update_rule' is ", Quote(rule));
    }
    const int64_t heads = n_.Int("kv_num_heads");
    KILN_ASSIGN_OR_RETURN(const TensorType type, n_.OperandType(0));
    element_ = state_element_ = type.element;
    KILN_ASSIGN_OR_RETURN(query_, Heads(0, "query", n_.Int("q_num_heads")));
    KILN_ASSIGN_OR_RETURN(key_, Heads(1, "key", heads));
    KILN_ASSIGN_OR_RETURN(value_, Heads(2, "value", heads));
    const Shape& q = query_->shape();
    const Shape& k = key_->shape();
    if (q[1] % heads != 0 || q[3] != k[3] || q[3] < 1 || q[0] != k[0] || q[2] != k[2] || q[2] < 1 ||
        q[2] != value_->shape()[2]) {
      return InvalidInput(
          "the heads of query, key and value do not fit: ", query_->type().ToString(), ", ",
          key_->type().ToString(), ", ", value_->type().ToString());
    }
    if (q[2] > kMaxSteps) return Unsupported("more than ", kMaxSteps, " steps");
    scale_ = n_.Float("scale");
    if (scale_ == 0) scale_ = 1 / std::sqrt(static_cast<double>(q[3]));
    const Shape state = {k[0], heads, k[3], value_->shape()[3]};
    if (n_.Has(3)) {
      KILN_ASSIGN_OR_RETURN(const TensorType past, n_.OperandType(3));
      state_element_ = past.element;
      KILN_ASSIGN_OR_RETURN(state_, Wide(3));
    } else {
      KILN_ASSIGN_OR_RETURN(state_, b_.Broadcast(b_.Scalar(key_->element(), 0), state));
    }
    if (state_->shape() != state) {
      return InvalidInput("operand 'past_state' is ", state_->type().ToString(), ", expected ",
                          FormatInts(state));
    }
    if (gated) {
      KILN_ASSIGN_OR_RETURN(Op* const decay, Heads(4, "decay", heads));
      KILN_ASSIGN_OR_RETURN(gate_, n_.Make("exp", {decay}));
    }
    if (!delta_) return OkStatus();
    KILN_ASSIGN_OR_RETURN(const TensorType beta, n_.OperandType(5));
    const bool shared = beta.rank() == 3 && beta.shape[2] == 1;
    KILN_ASSIGN_OR_RETURN(rate_, Heads(5, "beta", shared ? 1 : heads));
    return OkStatus();
  }

  StatusOr<Op*> At(Op* x, int64_t step) { return SliceAxis(b_, x, 2, step, 1); }
  // A row as a column.
  StatusOr<Op*> ColumnAt(Op* x, int64_t step) { return b_.Transpose(At(x, step), {0, 1, 3, 2}); }

  // S' = g S;  S = S' + k v^T, or S' + beta k (v - S'^T k)^T
  Status Advance(int64_t step) {
    StatusOr<Op*> state = state_;
    if (gate_ != nullptr) state = b_.Mul(state, ColumnAt(gate_, step));
    StatusOr<Op*> value = At(value_, step);
    if (delta_) {
      value = b_.Sub(value, n_.Make("matmul", {At(key_, step), state}));
      value = b_.Mul(value, At(rate_, step));
    }
    KILN_ASSIGN_OR_RETURN(state_, b_.Add(state, b_.Mul(ColumnAt(key_, step), value)));
    return OkStatus();
  }

  Node& n_;
  Builder& b_;
  Op *query_ = nullptr, *key_ = nullptr, *value_ = nullptr;  ///< [batch, heads, steps, size]
  Op* gate_ = nullptr;                                       ///< likewise, where there is one
  Op* rate_ = nullptr;                                       ///< likewise
  Op* state_ = nullptr;
  ElementType element_{}, state_element_{};  ///< of the results
  bool delta_ = false;
  double scale_ = 1;
};

Status LinearAttention(Node& n) { return LinearAttentionBuilder(n).Run(); }

}  // namespace

std::vector<OnnxOp> LinearAttentionOps() {
  std::vector<OnnxOp> ops;
  ops.push_back({.name = "CausalConvWithState",
                 .handler = CausalConvWithState,
                 .operands = {2, 4},
                 .max_results = 2,
                 .attributes = {String("activation")},
                 .first = 27});
  ops.push_back({.name = "LinearAttention",
                 .handler = LinearAttention,
                 .operands = {3, 6},
                 .max_results = 2,
                 .attributes = {Required(Int("q_num_heads")), Required(Int("kv_num_heads")),
                                Int("chunk_size"), Float("scale"), String("update_rule")},
                 .first = 27,
                 .limits = StrCat("unrolled, up to ", kMaxSteps, " steps")});
  return ops;
}

}  // namespace kiln::onnx_import
