// Reductions, and ops along one dimension.
#include "compiler/export/onnx/node_writer.h"

namespace kiln::onnx_export {

namespace {

// Without axes the op is the identity.
Status Reduce(NodeWriter& n) {
  const std::vector<int64_t>& axes = n.op().Ints("axes");
  if (axes.empty()) return n.Result("Identity", {n.operand(0)});
  return n.Result(FindOpWriter(n.op().kind())->type.c_str(), {n.operand(0), n.Indices(axes)},
                  {Int("keepdims", n.op().Bool("keep_dims"))});
}

Status ArgReduce(NodeWriter& n) {
  return n.Result(FindOpWriter(n.op().kind())->type.c_str(), {n.operand(0)},
                  {Int("axis", n.op().Int("axis")), Int("keepdims", n.op().Bool("keep_dims")),
                   Int("select_last_index", n.op().Bool("select_last"))});
}

Status TopK(NodeWriter& n) {
  return n.ResultOf(
      "TopK", {n.operand(0), n.Indices({n.op().Int("k")})},
      {Int("axis", n.op().Int("axis")), Int("largest", n.op().Bool("largest")), Int("sorted", 1)},
      n.op().Is("top_k_indices") ? 1 : 0);
}

Status CumSum(NodeWriter& n) {
  const std::string axis =
      n.Constant(Tensor::FromInts(ElementType::kI64, {}, {n.op().Int("axis")}));
  return n.Result(
      "CumSum", {n.operand(0), axis},
      {Int("exclusive", n.op().Bool("exclusive")), Int("reverse", n.op().Bool("reverse"))});
}

Status AlongAxis(NodeWriter& n) {
  return n.Result(FindOpWriter(n.op().kind())->type.c_str(), {n.operand(0)},
                  {Int("axis", n.op().Int("axis"))});
}

}  // namespace

std::vector<OpWriter> ReductionWriters() {
  return {{"reduce_sum", Reduce, "ReduceSum"},   {"reduce_mean", Reduce, "ReduceMean"},
          {"reduce_max", Reduce, "ReduceMax"},   {"reduce_min", Reduce, "ReduceMin"},
          {"reduce_prod", Reduce, "ReduceProd"}, {"argmax", ArgReduce, "ArgMax"},
          {"argmin", ArgReduce, "ArgMin"},       {"top_k_values", TopK, ""},
          {"top_k_indices", TopK, ""},           {"cumsum", CumSum, ""},
          {"softmax", AlongAxis, "Softmax"},     {"log_softmax", AlongAxis, "LogSoftmax"}};
}

}  // namespace kiln::onnx_export
