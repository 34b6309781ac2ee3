// Reductions and searches.
#include <algorithm>

#include "compiler/import/foreign/build.h"
#include "compiler/import/mxnet/node.h"

namespace kiln::mxnet_import {

namespace {

// Over `axis` (all by default), or over all others with `exclude`.
StatusOr<std::vector<int64_t>> Axes(Node& n, int64_t rank) {
  KILN_ASSIGN_OR_RETURN(std::vector<int64_t> axes, NormalAxes(n.Ints("axis"), rank));
  if (axes.empty()) return AxesFrom(0, rank);
  if (!n.Bool("exclude")) return axes;
  std::vector<int64_t> others;
  for (int64_t d = 0; d < rank; ++d) {
    if (std::ranges::count(axes, d) == 0) others.push_back(d);
  }
  return others;
}

Status ReduceAxes(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  KILN_ASSIGN_OR_RETURN(const auto axes, Axes(n, Rank(x)));
  return n.Output(Reduce(n.builder(), n.op().kind, x, axes, n.Bool("keepdims")));
}

// The 1- or 2-norm.
Status Norm(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  KILN_ASSIGN_OR_RETURN(const auto axes, Axes(n, Rank(x)));
  const int64_t order = n.Int("ord", 2);
  const bool keep = n.Bool("keepdims");
  if (order == 1) return n.Output(Reduce(b, "reduce_sum", n.Make("abs", {x}), axes, keep));
  if (order != 2) return Unsupported("ord ", order, " is not supported");
  return n.Output(n.Make("sqrt", {Reduce(b, "reduce_sum", b.Mul(x, x), axes, keep)}));
}

// The position, as a float.
Status ArgReduce(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  if (!n.HasAttribute("axis")) return Unsupported("a search over everything is not supported");
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(n.Int("axis"), Rank(x)));
  const auto position =
      n.Make(n.op().kind, {x}, {{"axis", axis}, {"keep_dims", n.Bool("keepdims")}});
  return n.Output(n.builder().Cast(position, ElementType::kF32));
}

}  // namespace

std::vector<MxnetOp> ReduceOps() {
  std::vector<MxnetOp> ops;
  struct Row {
    const char* name;
    const char* kind;
  };
  const std::vector<std::string> attributes = {"axis", "keepdims", "exclude"};
  for (const Row& row : std::initializer_list<Row>{{"sum", "reduce_sum"},
                                                   {"sum_axis", "reduce_sum"},
                                                   {"mean", "reduce_mean"},
                                                   {"max", "reduce_max"},
                                                   {"max_axis", "reduce_max"},
                                                   {"min", "reduce_min"},
                                                   {"prod", "reduce_prod"}}) {
    ops.push_back(
        {.name = row.name, .handler = ReduceAxes, .kind = row.kind, .attributes = attributes});
  }
  ops.push_back({.name = "norm", .handler = Norm, .attributes = {"ord", "axis", "keepdims"}});
  for (const char* const name : {"argmax", "argmin"}) {
    ops.push_back({.name = name,
                   .handler = ArgReduce,
                   .kind = name,
                   .attributes = {"axis", "keepdims"},
                   .limits = "along one axis"});
  }
  return ops;
}

}  // namespace kiln::mxnet_import
