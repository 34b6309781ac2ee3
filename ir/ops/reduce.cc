// Reductions over any set of axes: sum, mean, max, min, product.
#include <algorithm>
#include <cmath>

#include "ir/ops/gradient.h"
#include "ir/ops/op_table.h"
#include "ir/ops/shape_util.h"

namespace kiln {

using loop::Expr;
using loop::ReduceOp;

namespace {

bool IsReduced(const Op& op, size_t d) {
  const std::vector<int64_t>& axes = op.Ints("axes");
  return std::find(axes.begin(), axes.end(), static_cast<int64_t>(d)) != axes.end();
}

StatusOr<TensorType> InferReduce(const Op& op) {
  KILN_RETURN_IF_ERROR(CheckNumeric(op));
  const Shape& x = op.operand(0)->shape();
  KILN_RETURN_IF_ERROR(CheckAxes(op, "axes", op.Ints("axes"), static_cast<int64_t>(x.size())));
  Shape shape;
  for (size_t d = 0; d < x.size(); ++d) {
    if (!IsReduced(op, d)) {
      shape.push_back(x[d]);
    } else if (op.Bool("keep_dims")) {
      shape.push_back(1);
    }
  }
  return TensorType{op.operand(0)->element(), std::move(shape)};
}

/// How many elements make one result.
int64_t ReducedCount(const Op& op) {
  int64_t count = 1;
  for (const int64_t axis : op.Ints("axes")) count *= op.operand(0)->shape()[axis];
  return count;
}

/// The index into the result that an index into the operand contributes to.
std::vector<int64_t> ResultIndex(const Op& op, const std::vector<int64_t>& index) {
  std::vector<int64_t> result;
  for (size_t d = 0; d < index.size(); ++d) {
    if (!IsReduced(op, d)) {
      result.push_back(index[d]);
    } else if (op.Bool("keep_dims")) {
      result.push_back(0);
    }
  }
  return result;
}

double Combine(ReduceOp reduce, double a, double b) {
  switch (reduce) {
    case ReduceOp::kSum: return a + b;
    case ReduceOp::kProd: return a * b;
    case ReduceOp::kMin: return std::isnan(a) || a < b ? a : b;
    case ReduceOp::kMax: return std::isnan(a) || a > b ? a : b;
  }
  return a;
}

int64_t Combine(ReduceOp reduce, ElementType type, int64_t a, int64_t b) {
  const auto ua = static_cast<uint64_t>(a), ub = static_cast<uint64_t>(b);
  const bool less = type == ElementType::kU64 ? ua < ub : a < b;
  switch (reduce) {
    case ReduceOp::kSum: return WrapInt(type, static_cast<int64_t>(ua + ub));
    case ReduceOp::kProd: return WrapInt(type, static_cast<int64_t>(ua * ub));
    case ReduceOp::kMin: return less ? a : b;
    case ReduceOp::kMax: return less ? b : a;
  }
  return a;
}

void FillNeutral(ReduceOp reduce, Array& result) {
  const Expr neutral = NeutralElement(reduce, result.element);
  std::fill(result.floats.begin(), result.floats.end(), neutral->float_value);
  std::fill(result.ints.begin(), result.ints.end(), neutral->int_value);
}

/// Integer division that truncates; the mean of nothing is 0.
int64_t DivideInt(ElementType type, int64_t sum, int64_t count) {
  if (count == 0) return 0;
  if (type != ElementType::kU64) return sum / count;
  return static_cast<int64_t>(static_cast<uint64_t>(sum) / static_cast<uint64_t>(count));
}

void EvaluateReduce(const Op& op, ReduceOp reduce, const Array& x, Array& result) {
  FillNeutral(reduce, result);
  for (Index i(x.shape); i.valid(); i.Next()) {
    const int64_t at = Offset(result.shape, ResultIndex(op, i.values()));
    if (x.is_float()) {
      result.floats[at] = Combine(reduce, result.floats[at], x.floats[i.linear()]);
    } else {
      result.ints[at] = Combine(reduce, x.element, result.ints[at], x.ints[i.linear()]);
    }
  }
}

Status EvaluateMean(const Op& op, std::span<const Array* const> in, Array& result) {
  EvaluateReduce(op, ReduceOp::kSum, *in[0], result);
  const int64_t count = ReducedCount(op);
  for (double& value : result.floats) value /= static_cast<double>(count);
  for (int64_t& value : result.ints) {
    value = DivideInt(result.element, value, WrapInt(result.element, count));
  }
  return OkStatus();
}

Expr ReduceElement(const Op& op, ReduceOp reduce, const Reader& read,
                   const std::vector<Expr>& index) {
  const Shape& x = op.operand(0)->shape();
  std::vector<loop::Var> vars;
  std::vector<Expr> x_index;
  size_t next = 0;
  for (size_t d = 0; d < x.size(); ++d) {
    if (!IsReduced(op, d)) {
      x_index.push_back(index[next++]);
      continue;
    }
    if (op.Bool("keep_dims")) ++next;
    if (x[d] == 1) {
      x_index.push_back(0);
    } else {
      vars.push_back(loop::MakeVar(StrCat("r", d), x[d]));
      x_index.push_back(vars.back());
    }
  }
  return Reduce(reduce, vars, read(0, x_index));
}

Expr MeanElement(const Op& op, const Reader& read, const std::vector<Expr>& index) {
  const Expr sum = ReduceElement(op, ReduceOp::kSum, read, index);
  const int64_t count = ReducedCount(op);
  if (IsFloat(sum.type())) return sum * loop::Const(sum.type(), 1.0 / static_cast<double>(count));
  return sum / loop::ConstInt(sum.type(), count);
}

// Gradients. A value of the result, seen from the operand: its reduced dimensions are 1.
Term Kept(const GradientSite& at, const Term& value) {
  Shape shape = at.x().shape();
  for (const int64_t axis : at.op.Ints("axes")) shape[axis] = 1;
  return value.Reshape(std::move(shape));
}

Term SumGradient(const GradientSite& at) { return Kept(at, at.dy()).Broadcast(at.x().shape()); }

Term MeanGradient(const GradientSite& at) {
  const double share = 1.0 / static_cast<double>(ReducedCount(at.op));
  return Kept(at, at.dy() * share).Broadcast(at.x().shape());
}

// Equal extremes share the gradient.
Term ExtremeGradient(const GradientSite& at) {
  const Term is_extreme = Equal(at.x(), Kept(at, at.y()));
  const Term ones = is_extreme.Make("cast", {{"to", at.dy().element()}});
  return ones * (Kept(at, at.dy()) / ones.Sum(at.op.Ints("axes")));
}

// dy times the product of the others: y / x, but for one 0, whose others are not 0, and 0 where
// there are several.
Term ProdGradient(const GradientSite& at) {
  const std::vector<int64_t>& axes = at.op.Ints("axes");
  const Term zero = at.dy().Scalar(0);
  const Term is_zero = Equal(at.x(), zero);
  const Term zeros = is_zero.Make("cast", {{"to", at.dy().element()}}).Sum(axes);
  const Term others = Where(is_zero, zero + 1, at.x());
  const Term product = axes.empty() ? others : others.Make("reduce_prod", {{"axes", axes}});
  const Term of_zero = Where(Less(zeros, 1.5), product, 0);
  const Term of_others = Where(Less(zeros, 0.5), product / others, 0);
  return Kept(at, at.dy()) * Where(is_zero, of_zero, of_others);
}

template <Term (*kFormula)(const GradientSite&)>
StatusOr<Op*> ReduceGradient(Builder& b, Op& op, size_t k, Op* dy) {
  return kFormula({b, op, k, dy}).op();
}

OpDef ReduceDef(std::string name, std::string doc, ReduceOp reduce,
                StatusOr<Op*> (*gradient)(Builder&, Op&, size_t, Op*)) {
  return {
      .name = std::move(name),
      .doc = std::move(doc),
      .operands = {{"x"}},
      .attributes = {{"axes",
                      Attribute::Kind::kInts,
                      {},
                      "the dimensions to reduce over, increasing; none: the op is the identity"},
                     {"keep_dims", Attribute::Kind::kBool, Attribute(true),
                      "keep reduced dimensions with extent 1"}},
      .traits = kReduction,
      .infer = InferReduce,
      .evaluate =
          [reduce](const Op& op, std::span<const Array* const> in, Array& result) {
            EvaluateReduce(op, reduce, *in[0], result);
            return OkStatus();
          },
      .element =
          [reduce](const Op& op, const Reader& read, const std::vector<Expr>& index) {
            return ReduceElement(op, reduce, read, index);
          },
      .gradient = gradient};
}

}  // namespace

std::vector<OpDef> ReduceOps() {
  std::vector<OpDef> ops;
  ops.push_back(ReduceDef("reduce_sum",
                          "The sum of x over the axes; 0 over nothing. Integers wrap in their own "
                          "type.",
                          ReduceOp::kSum, ReduceGradient<SumGradient>));
  ops.push_back(ReduceDef("reduce_prod",
                          "The product of x over the axes; 1 over nothing. Integers wrap.",
                          ReduceOp::kProd, ReduceGradient<ProdGradient>));
  ops.push_back(ReduceDef("reduce_max",
                          "The largest of x over the axes; NaN if any is NaN; the type's lowest "
                          "value (-inf) over nothing.",
                          ReduceOp::kMax, ReduceGradient<ExtremeGradient>));
  ops.push_back(ReduceDef("reduce_min",
                          "The smallest of x over the axes; NaN if any is NaN; the type's highest "
                          "value (inf) over nothing.",
                          ReduceOp::kMin, ReduceGradient<ExtremeGradient>));
  OpDef mean = ReduceDef("reduce_mean",
                         "The sum of x over the axes divided by the number of elements. Integers "
                         "truncate; over nothing floats give NaN and integers 0.",
                         ReduceOp::kSum, ReduceGradient<MeanGradient>);
  mean.evaluate = EvaluateMean;
  mean.element = MeanElement;
  ops.push_back(std::move(mean));
  return ops;
}

}  // namespace kiln
