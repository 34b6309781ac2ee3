// What gradients are written with: values of the graph under construction that combine by the
// operators of arithmetic, so that a derivative reads as its formula:
//
//   [](const GradientSite& at) { return at.dy() * (1 - at.y() * at.y()); }     // tanh
//
// An error in a part is the error of the whole. A Term may be zero (kZeroGradient), which products
// and sums respect.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ir/graph/builder.h"
#include "ir/graph/op_def.h"

namespace kiln {

class Term {
 public:
  Term(Builder& b, StatusOr<Op*> op) : b_(&b), op_(std::move(op)) {}
  /// The gradient that is zero everywhere.
  static Term Zero(Builder& b) { return Term(b, kZeroGradient); }

  Builder& b() const { return *b_; }
  const StatusOr<Op*>& op() const { return op_; }
  /// Whether there is a value: neither an error nor the zero gradient.
  bool has_value() const { return op_.ok() && *op_ != nullptr; }
  /// Of the value that there must be.
  const Shape& shape() const { return (*op_)->shape(); }
  ElementType element() const { return (*op_)->element(); }

  /// An op on this value.
  Term Make(std::string_view kind, AttributeMap attributes = {}) const;
  /// A rank-0 constant of this value's element type.
  Term Scalar(double value) const;
  Term Reshape(Shape shape) const;
  Term Transpose(std::vector<int64_t> permutation) const;
  Term Broadcast(Shape shape) const;
  /// Reductions; the reduced dimensions stay with extent 1.
  Term Sum(std::vector<int64_t> axes) const;
  Term Mean(std::vector<int64_t> axes) const;

 private:
  Builder* b_;
  StatusOr<Op*> op_;
};

Term operator+(const Term& a, const Term& b);
Term operator-(const Term& a, const Term& b);
Term operator*(const Term& a, const Term& b);
Term operator/(const Term& a, const Term& b);
Term operator-(const Term& a);
Term operator+(const Term& a, double b);
Term operator+(double a, const Term& b);
Term operator-(const Term& a, double b);
Term operator-(double a, const Term& b);
Term operator*(const Term& a, double b);
Term operator*(double a, const Term& b);
Term operator/(const Term& a, double b);
Term operator/(double a, const Term& b);

/// Elementwise comparisons, of type bool.
Term Less(const Term& a, const Term& b);
Term Less(const Term& a, double b);
Term Greater(const Term& a, double b);
Term Equal(const Term& a, const Term& b);
Term And(const Term& a, const Term& b);
/// `a` where `condition` holds, `b` elsewhere.
Term Where(const Term& condition, const Term& a, const Term& b);
Term Where(const Term& condition, const Term& a, double b);
/// a^exponent; by multiplications and square roots where the exponent is a multiple of 1/4.
Term Power(const Term& a, double exponent);

/// `x`, of a shape that `shape` broadcasts to, summed over what was repeated: the gradient of
/// broadcasting.
Term SumTo(const Term& x, const Shape& shape);
/// Zeros of `like`'s element type.
Term Zeros(const Term& like, Shape shape);
/// Along dimension `axis`, the vectors v of x become matrix v; `matrix` is [out, in], row-major.
/// The gradient of whatever is linear along one dimension.
Term Apply(const std::vector<double>& matrix, int64_t out, const Term& x, int64_t axis);

/// What OpDef::gradient is given, for formulas.
struct GradientSite {
  Builder& b;
  Op& op;
  size_t k;  ///< which operand the gradient is asked for
  Op* dy_op;

  Term dy() const { return {b, dy_op}; }
  Term y() const { return {b, &op}; }
  Term x(size_t i = 0) const { return {b, op.operand(i)}; }
};

/// All dimensions of a rank: 0 .. rank - 1.
std::vector<int64_t> AllAxes(size_t rank);

}  // namespace kiln
