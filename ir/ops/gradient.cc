#include "ir/ops/gradient.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace kiln {

namespace {

// The zero gradient, or the error of the first of the two that has one.
Term ZeroOrError(const Term& a, const Term& b) {
  if (!a.op().ok()) return a;
  if (!b.op().ok()) return b;
  return Term::Zero(a.b());
}

Term Binary(std::string_view kind, const Term& a, const Term& b) {
  if (!a.has_value() || !b.has_value()) return ZeroOrError(a, b);
  return {a.b(), a.b().Make(kind, {a.op(), b.op()})};
}

Term Reduce(const Term& x, const char* kind, std::vector<int64_t> axes) {
  if (axes.empty()) return x;
  return x.Make(kind, {{"axes", std::move(axes)}});
}

}  // namespace

Term Term::Make(std::string_view kind, AttributeMap attributes) const {
  if (!has_value()) return *this;
  return {*b_, b_->Make(kind, {op_}, std::move(attributes))};
}

Term Term::Scalar(double value) const {
  if (!has_value()) return *this;
  return {*b_, b_->Scalar(element(), value)};
}

Term Term::Reshape(Shape shape) const {
  if (!has_value()) return *this;
  return {*b_, b_->Reshape(op_, std::move(shape))};
}

Term Term::Transpose(std::vector<int64_t> permutation) const {
  if (!has_value()) return *this;
  return {*b_, b_->Transpose(op_, std::move(permutation))};
}

Term Term::Broadcast(Shape shape) const {
  if (!has_value()) return *this;
  return {*b_, b_->Broadcast(op_, std::move(shape))};
}

Term Term::Sum(std::vector<int64_t> axes) const {
  return Reduce(*this, "reduce_sum", std::move(axes));
}

Term Term::Mean(std::vector<int64_t> axes) const {
  return Reduce(*this, "reduce_mean", std::move(axes));
}

Term operator+(const Term& a, const Term& b) {
  if (a.op().ok() && !a.has_value()) return b;
  if (b.op().ok() && !b.has_value()) return a;
  return Binary("add", a, b);
}
Term operator-(const Term& a, const Term& b) {
  if (a.op().ok() && !a.has_value()) return -b;
  if (b.op().ok() && !b.has_value()) return a;
  return Binary("sub", a, b);
}
Term operator*(const Term& a, const Term& b) { return Binary("mul", a, b); }
Term operator/(const Term& a, const Term& b) { return Binary("div", a, b); }
Term operator-(const Term& a) { return a.Make("neg"); }
Term operator+(const Term& a, double b) { return a + a.Scalar(b); }
Term operator+(double a, const Term& b) { return b + a; }
Term operator-(const Term& a, double b) { return a - a.Scalar(b); }
Term operator-(double a, const Term& b) { return b.Scalar(a) - b; }
Term operator*(const Term& a, double b) { return b == 1 ? a : a * a.Scalar(b); }
Term operator*(double a, const Term& b) { return b * a; }
Term operator/(const Term& a, double b) { return a / a.Scalar(b); }
Term operator/(double a, const Term& b) { return b.Scalar(a) / b; }

Term Less(const Term& a, const Term& b) { return Binary("less", a, b); }
Term Less(const Term& a, double b) { return Less(a, a.Scalar(b)); }
Term Greater(const Term& a, double b) { return Less(a.Scalar(b), a); }
Term Equal(const Term& a, const Term& b) { return Binary("equal", a, b); }
Term And(const Term& a, const Term& b) { return Binary("and", a, b); }

Term Where(const Term& condition, const Term& a, const Term& b) {
  if (!condition.has_value() || !a.has_value() || !b.has_value()) {
    return condition.op().ok() ? ZeroOrError(a, b) : condition;
  }
  return {a.b(), a.b().Make("where", {condition.op(), a.op(), b.op()})};
}

Term Where(const Term& condition, const Term& a, double b) {
  return Where(condition, a, a.Scalar(b));
}

Term Power(const Term& a, double exponent) {
  if (!a.has_value()) return a;
  if (exponent < 0) return 1 / Power(a, -exponent);
  if (exponent == 0.25) return a.Make("sqrt").Make("sqrt");
  if (exponent == 0.5) return a.Make("sqrt");
  if (exponent == 0.75) return Power(a, 0.5) * Power(a, 0.25);
  if (exponent == 1) return a;
  if (exponent == 2) return a * a;
  const bool quarters = exponent < 4 && exponent * 4 == std::floor(exponent * 4);
  if (quarters && exponent > 1) {
    const double whole = std::floor(exponent);
    Term result = a;
    for (double power = 1; power < whole; ++power) result = result * a;
    return exponent == whole ? result : result * Power(a, exponent - whole);
  }
  return {a.b(), a.b().Make("pow", {a.op(), a.Scalar(exponent).op()})};
}

Term SumTo(const Term& x, const Shape& shape) {
  if (!x.has_value() || x.shape() == shape) return x;
  const size_t lead = x.shape().size() - shape.size();
  std::vector<int64_t> axes;
  for (size_t d = 0; d < x.shape().size(); ++d) {
    const bool repeated = d < lead || (shape[d - lead] == 1 && x.shape()[d] != 1);
    if (repeated) axes.push_back(static_cast<int64_t>(d));
  }
  return x.Sum(std::move(axes)).Reshape(shape);
}

Term Zeros(const Term& like, Shape shape) { return like.Scalar(0).Broadcast(std::move(shape)); }

Term Apply(const std::vector<double>& matrix, int64_t out, const Term& x, int64_t axis) {
  if (!x.has_value()) return x;
  const int64_t in = x.shape()[static_cast<size_t>(axis)];
  const Term m(x.b(), x.b().Constant(Tensor::FromDoubles(x.element(), {out, in}, matrix)));
  // The axis goes last and comes back: a swap with the last dimension.
  std::vector<int64_t> swap = AllAxes(x.shape().size());
  std::swap(swap[static_cast<size_t>(axis)], swap.back());
  const bool last = axis + 1 == static_cast<int64_t>(x.shape().size());
  Term rows = last ? x : x.Transpose(swap);
  if (!rows.has_value()) return rows;
  Shape shape = rows.shape();
  shape.back() = out;
  rows = rows.Reshape({ElementCount(x.shape()) / std::max<int64_t>(in, 1), in});
  if (!rows.has_value() || !m.has_value()) return ZeroOrError(rows, m);
  const Term product(x.b(), x.b().Make("matmul", {rows.op(), m.op()}, {{"transpose_b", true}}));
  const Term back = product.Reshape(std::move(shape));
  return last ? back : back.Transpose(swap);
}

std::vector<int64_t> AllAxes(size_t rank) {
  std::vector<int64_t> axes(rank);
  std::iota(axes.begin(), axes.end(), int64_t{0});
  return axes;
}

}  // namespace kiln
