// Reductions, searches, sums along a dimension.
#include <algorithm>
#include <cmath>
#include <limits>

#include "compiler/import/foreign/build.h"
#include "compiler/import/pytorch/node.h"

namespace kiln::pytorch_import {

namespace {

// The dimensions in argument "dim"; all where it is missing or empty.
StatusOr<std::vector<int64_t>> Axes(Node& n, int64_t rank) {
  KILN_ASSIGN_OR_RETURN(const std::vector<int64_t> axes, NormalAxes(n.Ints("dim"), rank));
  return axes.empty() ? AxesFrom(0, rank) : axes;
}

// One dimension; of a tensor without any, 0 and -1 mean itself.
StatusOr<int64_t> Axis(Node& n, int64_t rank, int64_t otherwise = 0) {
  return NormalAxis(n.Int("dim", otherwise), std::max<int64_t>(rank, 1));
}

// Sums of integers are i64, means floats.
Status ReduceAxes(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.tensor("self"));
  const std::string& kind = n.op().kind;
  ElementType type = x->element();
  if ((kind == "reduce_sum" || kind == "reduce_prod") && !IsFloat(type)) type = ElementType::kI64;
  type = n.Type("dtype", type);
  if (Rank(x) == 0) return n.Output(n.builder().Cast(x, type));
  KILN_ASSIGN_OR_RETURN(const auto axes, Axes(n, Rank(x)));
  return n.Output(Reduce(n.builder(), kind, n.builder().Cast(x, type), axes, n.Bool("keepdim")));
}

// Truth: the largest or smallest of what is not 0.
Status AnyOrAll(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.tensor("self"));
  const auto truth = b.Cast(b.Cast(x, ElementType::kBool), ElementType::kI8);
  if (Rank(x) == 0) return n.Output(b.Cast(truth, ElementType::kBool));
  KILN_ASSIGN_OR_RETURN(const auto axes, Axes(n, Rank(x)));
  return n.Output(
      b.Cast(Reduce(b, n.op().kind, truth, axes, n.Bool("keepdim")), ElementType::kBool));
}

// Positions along one dimension, or in everything.
StatusOr<Op*> Position(Node& n, Op* x, const std::string& kind) {
  Builder& b = n.builder();
  const bool all = !n.Has("dim");
  const bool keep = n.Bool("keepdim");
  const auto searched = all || Rank(x) == 0 ? b.Reshape(x, {x->type().count()}) : StatusOr<Op*>(x);
  KILN_ASSIGN_OR_RETURN(const int64_t axis, all ? StatusOr<int64_t>(0) : Axis(n, Rank(x)));
  const auto y = n.Make(kind, {searched}, {{"axis", axis}, {"keep_dims", keep && !all}});
  if (Rank(x) == 0) return b.Reshape(y, {});
  return all && keep ? b.Reshape(y, Shape(x->shape().size(), 1)) : y;
}

Status ArgReduce(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.tensor("self"));
  return n.Output(Position(n, x, n.op().kind));
}

// Values and where they are.
Status MaxOrMin(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.tensor("self"));
  const bool max = n.op().kind == "reduce_max";
  if (Rank(x) == 0) {
    KILN_RETURN_IF_ERROR(n.Output(0, x));
  } else {
    KILN_ASSIGN_OR_RETURN(const int64_t axis, Axis(n, Rank(x)));
    KILN_RETURN_IF_ERROR(
        n.Output(0, Reduce(n.builder(), n.op().kind, x, {axis}, n.Bool("keepdim"))));
  }
  return n.Output(1, Position(n, x, max ? "argmax" : "argmin"));
}

struct Moments {
  Op* mean;
  Op* variance;
};

// Over n elements the sum of squares is divided by n - correction.
StatusOr<Moments> FindMoments(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.tensor("self"));
  KILN_ASSIGN_OR_RETURN(const auto axes, Axes(n, Rank(x)));
  const double correction =
      n.Has("correction") ? n.Float("correction") : (n.Bool("unbiased", true) ? 1.0 : 0.0);
  double count = 1;
  for (const int64_t axis : axes) count *= static_cast<double>(x->shape()[axis]);
  KILN_ASSIGN_OR_RETURN(Op* const kept, Reduce(b, "reduce_mean", x, axes, true));
  KILN_ASSIGN_OR_RETURN(Op* const centred, b.Sub(x, kept));
  const bool keep = n.Bool("keepdim");
  const auto sum = Reduce(b, "reduce_sum", b.Mul(centred, centred), axes, keep);
  const double divisor = std::max(count - correction, 0.0);
  KILN_ASSIGN_OR_RETURN(Op* const variance, b.Div(sum, b.Scalar(x->element(), divisor)));
  KILN_ASSIGN_OR_RETURN(Op* const mean,
                        keep ? StatusOr<Op*>(kept) : b.Reshape(kept, variance->shape()));
  return Moments{mean, variance};
}

Status Variance(Node& n) {
  KILN_ASSIGN_OR_RETURN(const Moments moments, FindMoments(n));
  const bool root = n.op().kind == "std";
  KILN_RETURN_IF_ERROR(n.Output(0, root ? n.Make("sqrt", {moments.variance}) : moments.variance));
  return n.Output(1, moments.mean);
}

// (sum of |x|^p)^(1/p); the largest or smallest |x| for an infinite p, how many are not 0 for 0.
Status Norm(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op * x, n.tensor("self"));
  KILN_ASSIGN_OR_RETURN(x, b.Cast(x, n.Type("dtype", x->element())));
  KILN_ASSIGN_OR_RETURN(const auto axes, Axes(n, Rank(x)));
  const double p = n.Float(n.Has("p") ? "p" : "ord", 2);
  const bool keep = n.Bool("keepdim");
  const auto reduce = [&](const char* kind, const StatusOr<Op*>& of) {
    return Reduce(b, kind, of, axes, keep);
  };
  if (p == 2) return n.Output(n.Make("sqrt", {reduce("reduce_sum", b.Mul(x, x))}));
  const auto size = n.Make("abs", {x});
  if (p == 1) return n.Output(reduce("reduce_sum", size));
  if (std::isinf(p)) return n.Output(reduce(p > 0 ? "reduce_max" : "reduce_min", size));
  if (p == 0) {
    return n.Output(reduce("reduce_sum", b.Cast(b.Cast(x, ElementType::kBool), x->element())));
  }
  const auto sum = reduce("reduce_sum", n.Make("pow", {size, b.Scalar(x->element(), p)}));
  return n.Output(n.Make("pow", {sum, b.Scalar(x->element(), 1 / p)}));
}

// The product of both along a dimension, each divided by its length, which counts as at least eps.
Status CosineSimilarity(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.tensor("x1"));
  KILN_ASSIGN_OR_RETURN(Op* const y, n.tensor("x2"));
  KILN_ASSIGN_OR_RETURN(const Shape shape, BroadcastShapes(x->shape(), y->shape()));
  const auto rank = static_cast<int64_t>(shape.size());
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(n.Int("dim", 1), rank));
  const double eps = n.Float("eps", 1e-8);
  const auto unit = [&](Op* of) -> StatusOr<Op*> {
    KILN_ASSIGN_OR_RETURN(Op* const wide, b.Broadcast(of, shape));
    const auto squares = Reduce(b, "reduce_sum", b.Mul(wide, wide), {axis}, true);
    return b.Div(wide, n.Make("clip", {n.Make("sqrt", {squares})}, {{"min", eps}}));
  };
  return n.Output(Reduce(b, "reduce_sum", b.Mul(unit(x), unit(y)), {axis}, false));
}

// m + log(sum of e^(x - m)), with the largest m.
Status LogSumExp(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op * x, n.tensor("self"));
  KILN_ASSIGN_OR_RETURN(x, b.Cast(x, FloatOf(x->element())));
  KILN_ASSIGN_OR_RETURN(const auto axes, Axes(n, Rank(x)));
  const auto largest = Reduce(b, "reduce_max", x, axes, true);
  const auto sum = Reduce(b, "reduce_sum", n.Make("exp", {b.Sub(x, largest)}), axes, true);
  const auto y = b.Add(largest, n.Make("log", {sum}));
  if (n.Bool("keepdim")) return n.Output(y);
  Shape shape;
  for (int64_t d = 0; d < Rank(x); ++d) {
    if (std::ranges::count(axes, d) == 0) shape.push_back(x->shape()[d]);
  }
  return n.Output(b.Reshape(y, shape));
}

Status CumSum(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.tensor("self"));
  const ElementType type =
      n.Type("dtype", IsFloat(x->element()) ? x->element() : ElementType::kI64);
  KILN_ASSIGN_OR_RETURN(const int64_t axis, Axis(n, Rank(x)));
  const auto cast = n.builder().Cast(x, type);
  if (Rank(x) == 0) return n.Output(cast);
  return n.Output(n.Make("cumsum", {cast}, {{"axis", axis}}));
}

// The best k in order; all of them for sort.
Status TopK(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.tensor("self"));
  if (Rank(x) == 0) return Unsupported("a tensor without dimensions is not supported");
  KILN_ASSIGN_OR_RETURN(const int64_t axis, Axis(n, Rank(x), -1));
  const bool sort = n.op().kind == "sort";
  const int64_t k = sort ? x->shape()[axis] : n.Int("k");
  const bool largest = sort ? n.Bool("descending") : n.Bool("largest", true);
  const AttributeMap attributes = {{"axis", axis}, {"k", k}, {"largest", largest}};
  KILN_RETURN_IF_ERROR(n.Output(0, n.Make("top_k_values", {x}, attributes)));
  return n.Output(1, n.Make("top_k_indices", {x}, attributes));
}

Status ArgSort(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.tensor("self"));
  if (Rank(x) == 0) return Unsupported("a tensor without dimensions is not supported");
  KILN_ASSIGN_OR_RETURN(const int64_t axis, Axis(n, Rank(x), -1));
  return n.Output(
      n.Make("top_k_indices", {x},
             {{"axis", axis}, {"k", x->shape()[axis]}, {"largest", n.Bool("descending")}}));
}

}  // namespace

std::vector<PytorchOp> ReduceOps() {
  std::vector<PytorchOp> ops;
  const auto add = [&ops](const std::string& name, Status (*handler)(Node&),
                          const std::string& kind, const std::string& arguments) {
    ops.push_back(
        {.name = StrCat("aten.", name), .handler = handler, .kind = kind, .arguments = arguments});
  };
  struct Row {
    const char* name;
    const char* kind;
  };
  for (const Row& row : std::initializer_list<Row>{{"sum.default", "reduce_sum"},
                                                   {"sum.dim_IntList", "reduce_sum"},
                                                   {"mean.default", "reduce_mean"},
                                                   {"mean.dim", "reduce_mean"},
                                                   {"prod.default", "reduce_prod"},
                                                   {"prod.dim_int", "reduce_prod"},
                                                   {"max.default", "reduce_max"},
                                                   {"min.default", "reduce_min"},
                                                   {"amax.default", "reduce_max"},
                                                   {"amin.default", "reduce_min"}}) {
    add(row.name, ReduceAxes, row.kind, "self dim keepdim dtype");
  }
  for (const char* const overload : {"default", "dim", "dims"}) {
    add(StrCat("any.", overload), AnyOrAll, "reduce_max", "self dim keepdim");
    add(StrCat("all.", overload), AnyOrAll, "reduce_min", "self dim keepdim");
  }
  add("argmax.default", ArgReduce, "argmax", "self dim keepdim");
  add("argmin.default", ArgReduce, "argmin", "self dim keepdim");
  add("max.dim", MaxOrMin, "reduce_max", "self dim keepdim");
  add("min.dim", MaxOrMin, "reduce_min", "self dim keepdim");
  for (const char* const name : {"var", "std", "var_mean", "std_mean"}) {
    const std::string kind = std::string(name).substr(0, 3);
    add(StrCat(name, ".correction"), Variance, kind, "self dim correction keepdim");
    add(StrCat(name, ".dim"), Variance, kind, "self dim unbiased keepdim");
    add(StrCat(name, ".default"), Variance, kind, "self unbiased");
  }
  add("linalg_vector_norm.default", Norm, "", "self ord dim keepdim dtype");
  add("norm.ScalarOpt_dim", Norm, "", "self p dim keepdim");
  add("norm.Scalar", Norm, "", "self p");
  add("cosine_similarity.default", CosineSimilarity, "", "x1 x2 dim eps");
  add("logsumexp.default", LogSumExp, "", "self dim keepdim");
  add("cumsum.default", CumSum, "", "self dim dtype");
  add("topk.default", TopK, "", "self k dim largest sorted");
  add("sort.default", TopK, "sort", "self dim descending");
  add("sort.stable", TopK, "sort", "self stable dim descending");
  add("argsort.default", ArgSort, "", "self dim descending");
  add("argsort.stable", ArgSort, "", "self stable dim descending");
  return ops;
}

}  // namespace kiln::pytorch_import
