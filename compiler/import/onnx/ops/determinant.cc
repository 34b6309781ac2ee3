// Det: Gaussian elimination with row pivoting, unrolled over the rows.
#include "compiler/import/foreign/build.h"
#include "compiler/import/onnx/node.h"

namespace kiln::onnx_import {

namespace {

constexpr int64_t kMaxRows = 64;

/// What is left of the matrices [batch, rows, rows] after a step, and the product so far [batch].
struct Elimination {
  Op* rest;
  StatusOr<Op*> product;
};

// Brings the row with the largest first entry to the top, and eliminates that column.
StatusOr<Elimination> Eliminate(Node& n, const Elimination& before) {
  Builder& b = n.builder();
  Op* const a = before.rest;
  const int64_t batch = a->shape()[0], rows = a->shape()[1];
  const ElementType element = a->element();
  KILN_ASSIGN_OR_RETURN(Op* const column, SliceAxis(b, a, 2, 0, 1));
  const StatusOr<Op*> pivot_row =
      n.Make("argmax", {n.Make("abs", {column})}, {{"axis", int64_t{1}}, {"keep_dims", true}});
  KILN_ASSIGN_OR_RETURN(Op* const pivots,
                        n.Make("gather_elements", {a, b.Broadcast(pivot_row, {batch, 1, rows})},
                               {{"axis", int64_t{1}}}));  // [batch, 1, rows]
  // The first row takes the pivot's place.
  const StatusOr<Op*> is_pivot =
      n.Make("equal", {IotaAlong(b, 3, 1, rows, ElementType::kI64), pivot_row});
  KILN_ASSIGN_OR_RETURN(Op* const swapped,
                        n.Make("where", {is_pivot, SliceAxis(b, a, 1, 0, 1), a}));
  const StatusOr<Op*> first = b.Constant(Tensor::FromInts(ElementType::kI64, {}, {0}));
  const StatusOr<Op*> sign = n.Make(
      "where", {n.Make("equal", {pivot_row, first}), b.Scalar(element, 1), b.Scalar(element, -1)});
  KILN_ASSIGN_OR_RETURN(Op* const pivot, SliceAxis(b, pivots, 2, 0, 1));
  Elimination after{nullptr, b.Mul(before.product, b.Reshape(b.Mul(pivot, sign), {batch}))};
  if (rows == 1) return after;
  // A pivot of 0 makes the product 0 whatever follows; it only must not make a NaN.
  const StatusOr<Op*> divisor = n.Make(
      "where", {n.Make("equal", {pivot, b.Scalar(element, 0)}), b.Scalar(element, 1), pivot});
  KILN_ASSIGN_OR_RETURN(Op* const below, SliceAxis(b, swapped, 1, 1, rows - 1));
  const StatusOr<Op*> factors = b.Div(SliceAxis(b, below, 2, 0, 1), divisor);
  KILN_ASSIGN_OR_RETURN(after.rest, b.Sub(SliceAxis(b, below, 2, 1, rows - 1),
                                          b.Mul(factors, SliceAxis(b, pivots, 2, 1, rows - 1))));
  return after;
}

Status Det(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.operand(0));
  const int64_t rank = Rank(x);
  if (rank < 2 || x->shape()[rank - 1] != x->shape()[rank - 2]) {
    return InvalidInput("needs square matrices, found ", x->type().ToString());
  }
  const int64_t rows = x->shape()[rank - 1];
  if (rows < 1 || rows > kMaxRows) {
    return Unsupported("matrices of ", rows, " rows are not supported, only 1 to ", kMaxRows);
  }
  const Shape leading(x->shape().begin(), x->shape().end() - 2);
  const int64_t batch = ElementCount(leading);
  Elimination state{nullptr, b.Broadcast(b.Scalar(x->element(), 1), {batch})};
  KILN_ASSIGN_OR_RETURN(state.rest, b.Reshape(x, {batch, rows, rows}));
  for (int64_t step = 0; step < rows; ++step) {
    KILN_ASSIGN_OR_RETURN(state, Eliminate(n, state));
  }
  return n.Result(b.Reshape(state.product, leading));
}

}  // namespace

std::vector<OnnxOp> DeterminantOps() {
  std::vector<OnnxOp> ops;
  ops.push_back({.name = "Det", .handler = Det, .limits = StrCat("up to ", kMaxRows, " rows")});
  return ops;
}

}  // namespace kiln::onnx_import
