#include "ir/ops/shape_util.h"

#include <algorithm>

namespace kiln {

namespace {

// The documented name of operand `k`.
std::string OperandName(const Op& op, size_t k) {
  const auto& operands = op.def().operands;
  return k < operands.size() ? operands[k].name : StrCat("operand ", static_cast<int64_t>(k));
}

Status CheckElement(const Op& op, size_t k, bool ok, std::string_view expected) {
  if (ok) return OkStatus();
  return OpError(op, OperandName(op, k), " must be of ", expected, " type");
}

}  // namespace

ElementType ComputeType(ElementType type) {
  return type == ElementType::kF16 || type == ElementType::kBF16 ? ElementType::kF32 : type;
}

Status CheckAxis(const Op& op, std::string_view name, int64_t axis, int64_t rank) {
  if (axis >= 0 && axis < rank) return OkStatus();
  return OpError(op, name, " must be at least 0 and below the rank ", rank, ", found ", axis);
}

Status CheckAxes(const Op& op, std::string_view name, const std::vector<int64_t>& axes,
                 int64_t rank) {
  for (size_t i = 0; i < axes.size(); ++i) {
    KILN_RETURN_IF_ERROR(CheckAxis(op, name, axes[i], rank));
    if (i > 0 && axes[i] <= axes[i - 1]) {
      return OpError(op, name, " must be strictly increasing, found ", FormatInts(axes));
    }
  }
  return OkStatus();
}

Status CheckPermutation(const Op& op, std::string_view name,
                        const std::vector<int64_t>& permutation, int64_t rank) {
  std::vector<int64_t> sorted = permutation;
  std::sort(sorted.begin(), sorted.end());
  bool ok = static_cast<int64_t>(sorted.size()) == rank;
  for (size_t i = 0; ok && i < sorted.size(); ++i) ok = sorted[i] == static_cast<int64_t>(i);
  if (ok) return OkStatus();
  return OpError(op, name, " must be a permutation of the ", rank, " dimensions, found ",
                 FormatInts(permutation));
}

Status CheckLength(const Op& op, std::string_view name, size_t found, size_t count) {
  if (found == count) return OkStatus();
  return OpError(op, name, " must have ", count, " values, found ", found);
}

Status CheckRange(const Op& op, std::string_view name, int64_t value, int64_t minimum,
                  int64_t maximum) {
  if (value >= minimum && value <= maximum) return OkStatus();
  return OpError(op, name, " must be from ", minimum, " to ", maximum, ", found ", value);
}

Status CheckChoice(const Op& op, std::string_view name,
                   const std::vector<std::string_view>& choices) {
  const std::string& found = op.String(name);
  if (std::find(choices.begin(), choices.end(), found) != choices.end()) return OkStatus();
  return OpError(op, name, " must be one of ", StrJoin(choices, ", "), ", found ", Quote(found));
}

Status CheckShape(const Op& op, ElementType element, const Shape& shape) {
  const auto bytes = CheckedByteSize(element, shape);
  return bytes.ok() ? OkStatus() : OpError(op, Message(bytes.status()));
}

Status CheckType(const Op& op, const TensorType& type) {
  const auto bytes = CheckedByteSize(type);
  return bytes.ok() ? OkStatus() : OpError(op, Message(bytes.status()));
}

Status CheckRowMajor(const Op& op) {
  for (const Op* const operand : op.operands()) {
    if (!operand->type().layout.IsRowMajor()) return OpError(op, "operands must be row-major");
  }
  return OkStatus();
}

Status CheckSameElement(const Op& op) {
  for (const Op* const operand : op.operands()) {
    if (operand->element() != op.operand(0)->element()) {
      return OpError(op, "operands must have the same element type");
    }
  }
  return OkStatus();
}

Status CheckFloat(const Op& op, size_t k) {
  return CheckElement(op, k, IsFloat(op.operand(k)->element()), "a float");
}

Status CheckNumeric(const Op& op, size_t k) {
  return CheckElement(op, k, op.operand(k)->element() != ElementType::kBool, "a numeric");
}

Status CheckInteger(const Op& op, size_t k) {
  return CheckElement(op, k, IsInteger(op.operand(k)->element()), "an integer");
}

Status CheckBool(const Op& op, size_t k) {
  return CheckElement(op, k, op.operand(k)->element() == ElementType::kBool, "bool");
}

Status CheckIndexElement(const Op& op, size_t k) {
  const ElementType element = op.operand(k)->element();
  return CheckElement(op, k, element == ElementType::kI32 || element == ElementType::kI64,
                      "i32 or i64");
}

Layout CommonLayout(const Op& op, const Shape& shape) {
  const Layout* common = nullptr;
  for (const Op* const operand : op.operands()) {
    if (operand->shape() != shape) continue;
    if (common != nullptr && *common != operand->type().layout) return {};
    common = &operand->type().layout;
  }
  return common == nullptr ? Layout{} : *common;
}

StatusOr<TensorType> InferBroadcast(const Op& op, ElementType element) {
  Shape shape = op.operand(0)->shape();
  for (const Op* const operand : op.operands()) {
    auto broadcast = BroadcastShapes(shape, operand->shape());
    if (!broadcast.ok()) return OpError(op, Message(broadcast.status()));
    shape = *std::move(broadcast);
  }
  Layout layout = CommonLayout(op, shape);
  return TensorType{element, std::move(shape), std::move(layout)};
}

loop::Expr ReadBroadcast(const Reader& read, size_t k, const Shape& shape,
                         const std::vector<loop::Expr>& index) {
  const size_t skip = index.size() - shape.size();
  std::vector<loop::Expr> own;
  own.reserve(shape.size());
  for (size_t d = 0; d < shape.size(); ++d) {
    own.push_back(shape[d] == 1 ? loop::Expr(0) : index[skip + d]);
  }
  return read(k, own);
}

StatusOr<int64_t> CheckedAdd(const Op& op, int64_t a, int64_t b) {
  int64_t result;
  if (__builtin_add_overflow(a, b, &result)) return OpError(op, a, " + ", b, " overflows");
  return result;
}

StatusOr<int64_t> CheckedMul(const Op& op, int64_t a, int64_t b) {
  int64_t result;
  if (__builtin_mul_overflow(a, b, &result)) return OpError(op, a, " * ", b, " overflows");
  return result;
}

}  // namespace kiln
