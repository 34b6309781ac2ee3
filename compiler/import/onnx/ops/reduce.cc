// Reductions over axes, and what else runs along an axis: arg-max, top-k, cumulative sums.
#include "compiler/import/foreign/build.h"
#include "compiler/import/onnx/node.h"

namespace kiln::onnx_import {

namespace {

// The axes of a reduction: an attribute, or (ReduceSum from opset 13, the others from 18)
// operand 1. None means all, unless noop_with_empty_axes.
StatusOr<std::vector<int64_t>> ReduceAxes(Node& n, int64_t rank) {
  std::vector<int64_t> axes = n.Ints("axes");
  if (n.Has(1)) {
    KILN_ASSIGN_OR_RETURN(axes, n.KnownInts(1, "axes"));
  }
  if (axes.empty()) {
    return n.Int("noop_with_empty_axes") != 0 ? axes : AxesFrom(0, rank);
  }
  return NormalAxes(axes, rank);
}

struct Reduction {
  Op* x;
  std::vector<int64_t> axes;
  bool keep_dims;
};

StatusOr<Reduction> ReadReduction(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.operand(0));
  KILN_ASSIGN_OR_RETURN(std::vector<int64_t> axes, ReduceAxes(n, Rank(x)));
  return Reduction{x, std::move(axes), n.Int("keepdims", 1) != 0};
}

StatusOr<Op*> Apply(Node& n, const Reduction& r, const StatusOr<Op*>& x, std::string_view kind) {
  return Reduce(n.builder(), kind, x, r.axes, r.keep_dims);
}

Status Plain(Node& n) {
  KILN_ASSIGN_OR_RETURN(const Reduction r, ReadReduction(n));
  if (r.x->element() != ElementType::kBool) return n.Result(Apply(n, r, r.x, n.op().kind));
  // The largest and smallest of bools, since opset 20.
  Builder& b = n.builder();
  const StatusOr<Op*> y = Apply(n, r, b.Cast(r.x, ElementType::kU8), n.op().kind);
  return n.Result(b.Cast(y, ElementType::kBool));
}

Status L1(Node& n) {
  KILN_ASSIGN_OR_RETURN(const Reduction r, ReadReduction(n));
  return n.Result(Apply(n, r, n.Make("abs", {r.x}), "reduce_sum"));
}

StatusOr<Op*> SumOfSquares(Node& n, const Reduction& r) {
  return Apply(n, r, n.builder().Mul(r.x, r.x), "reduce_sum");
}

// A float function of a sum, for integer sums too.
StatusOr<Op*> OfSum(Node& n, std::string_view kind, const StatusOr<Op*>& sum) {
  if (!sum.ok()) return sum;
  const ElementType type = (*sum)->element();
  if (IsFloat(type)) return n.Make(kind, {sum});
  Builder& b = n.builder();
  return b.Cast(n.Make(kind, {b.Cast(sum, ElementType::kF64)}), type);
}

Status L2(Node& n) {
  KILN_ASSIGN_OR_RETURN(const Reduction r, ReadReduction(n));
  return n.Result(OfSum(n, "sqrt", SumOfSquares(n, r)));
}

Status SumSquare(Node& n) {
  KILN_ASSIGN_OR_RETURN(const Reduction r, ReadReduction(n));
  return n.Result(SumOfSquares(n, r));
}

Status LogSum(Node& n) {
  KILN_ASSIGN_OR_RETURN(const Reduction r, ReadReduction(n));
  return n.Result(OfSum(n, "log", Apply(n, r, r.x, "reduce_sum")));
}

// max + log(sum(exp(x - max))): no exponent overflows.
Status LogSumExp(Node& n) {
  KILN_ASSIGN_OR_RETURN(const Reduction r, ReadReduction(n));
  Builder& b = n.builder();
  const StatusOr<Op*> max = Reduce(b, "reduce_max", r.x, r.axes, true);
  const StatusOr<Op*> sum = Apply(n, r, n.Make("exp", {b.Sub(r.x, max)}), "reduce_sum");
  if (!sum.ok()) return sum.status();
  return n.Result(b.Add(b.Reshape(max, (*sum)->shape()), n.Make("log", {sum})));
}

Status Arg(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.operand(0));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(n.Int("axis", 0), Rank(x)));
  return n.Result(n.Make(n.op().kind, {x},
                         {{"axis", axis},
                          {"keep_dims", n.Int("keepdims", 1) != 0},
                          {"select_last", n.Int("select_last_index", 0) != 0}}));
}

Status CumSum(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.operand(0));
  KILN_ASSIGN_OR_RETURN(int64_t axis, n.KnownInt(1, "axis"));
  KILN_ASSIGN_OR_RETURN(axis, NormalAxis(axis, Rank(x)));
  return n.Result(n.Make("cumsum", {x},
                         {{"axis", axis},
                          {"exclusive", n.Int("exclusive") != 0},
                          {"reverse", n.Int("reverse") != 0}}));
}

// y[j] = the product of x[0..j], by doubling: after each step y[j] is that of twice as many
// elements.
Status CumProd(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.operand(0));
  KILN_ASSIGN_OR_RETURN(int64_t axis, n.KnownInt(1, "axis"));
  KILN_ASSIGN_OR_RETURN(axis, NormalAxis(axis, Rank(x)));
  // The elements moved along by `by`, ones behind them.
  const auto moved = [&](const StatusOr<Op*>& y, int64_t by) {
    std::vector<int64_t> low(Rank(x), 0), high(Rank(x), 0);
    low[axis] = n.Int("reverse") != 0 ? -by : by;
    high[axis] = -low[axis];
    return n.Make("pad", {y}, {{"low", low}, {"high", high}, {"value", 1.0}});
  };
  const int64_t extent = x->shape()[axis];
  StatusOr<Op*> y = n.Int("exclusive") != 0 && extent > 0 ? moved(x, 1) : x;
  for (int64_t by = 1; by < extent; by *= 2) y = n.builder().Mul(y, moved(y, by));
  return n.Result(y);
}

Status TopK(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.operand(0));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(n.Int("axis", -1), Rank(x)));
  int64_t k = n.Int("k");
  if (n.opset() >= 10) {
    KILN_ASSIGN_OR_RETURN(k, n.KnownInt(1, "k"));
  }
  const AttributeMap attributes = {{"axis", axis}, {"k", k}, {"largest", n.Int("largest", 1) != 0}};
  if (n.Wants(0)) KILN_RETURN_IF_ERROR(n.Result(0, n.Make("top_k_values", {x}, attributes)));
  if (n.Wants(1)) KILN_RETURN_IF_ERROR(n.Result(1, n.Make("top_k_indices", {x}, attributes)));
  return OkStatus();
}

}  // namespace

std::vector<OnnxOp> ReduceOps() {
  std::vector<OnnxOp> ops;
  struct Row {
    const char* name;
    Status (*handler)(Node&);
    const char* kind;
    int operand_since;  // the opset from which the axes are an operand
  };
  for (const Row& row : std::initializer_list<Row>{{"ReduceSum", Plain, "reduce_sum", 13},
                                                   {"ReduceMean", Plain, "reduce_mean", 18},
                                                   {"ReduceMax", Plain, "reduce_max", 18},
                                                   {"ReduceMin", Plain, "reduce_min", 18},
                                                   {"ReduceProd", Plain, "reduce_prod", 18},
                                                   {"ReduceL1", L1, "", 18},
                                                   {"ReduceL2", L2, "", 18},
                                                   {"ReduceLogSum", LogSum, "", 18},
                                                   {"ReduceLogSumExp", LogSumExp, "", 18},
                                                   {"ReduceSumSquare", SumSquare, "", 18}}) {
    ops.push_back({.name = row.name,
                   .handler = row.handler,
                   .kind = row.kind,
                   .operands = {1, 2},
                   .attributes = {Int("keepdims"), Until(row.operand_since - 1, Ints("axes")),
                                  Since(row.operand_since, Int("noop_with_empty_axes"))},
                   .limits = "known axes"});
  }
  for (const char* const name : {"ArgMax", "ArgMin"}) {
    ops.push_back(
        {.name = name,
         .handler = Arg,
         .kind = name == std::string("ArgMax") ? "argmax" : "argmin",
         .attributes = {Int("axis"), Int("keepdims"), Since(12, Int("select_last_index"))}});
  }
  ops.push_back({.name = "CumSum",
                 .handler = CumSum,
                 .operands = {2, 2},
                 .attributes = {Int("exclusive"), Int("reverse")},
                 .limits = "known axis"});
  ops.push_back({.name = "CumProd",
                 .handler = CumProd,
                 .operands = {2, 2},
                 .attributes = {Int("exclusive"), Int("reverse")},
                 .first = 26,
                 .limits = "known axis"});
  ops.push_back({.name = "TopK",
                 .handler = TopK,
                 .operands = {1, 2},
                 .max_results = 2,
                 .attributes = {Int("axis"), Required(Until(9, Int("k"))),
                                Since(11, Int("largest")), Since(11, Int("sorted"))},
                 .limits = "known k"});
  return ops;
}

}  // namespace kiln::onnx_import
