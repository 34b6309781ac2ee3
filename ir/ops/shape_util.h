// What op definitions share: checks of operands and attributes for type inference (each error names
// the op, what was expected and what was found), and numpy broadcasting of types and of indices.
#pragma once

#include <string_view>
#include <vector>

#include "ir/graph/op_def.h"
#include "ir/graph/op_error.h"

namespace kiln {

/// The type that arithmetic on `type` is done in: f32 for f16 and bf16, otherwise `type`. It is the
/// type of what a Reader gives.
ElementType ComputeType(ElementType type);

/// Requires 0 <= axis < rank; `name` is the attribute that holds it.
Status CheckAxis(const Op& op, std::string_view name, int64_t axis, int64_t rank);
/// Requires that `axes` are in range and strictly increasing.
Status CheckAxes(const Op& op, std::string_view name, const std::vector<int64_t>& axes,
                 int64_t rank);
/// Requires that `permutation` holds each of 0 .. rank-1 once.
Status CheckPermutation(const Op& op, std::string_view name,
                        const std::vector<int64_t>& permutation, int64_t rank);
/// Requires `count` values in the attribute `name`.
Status CheckLength(const Op& op, std::string_view name, size_t found, size_t count);
/// Requires `minimum` <= value <= `maximum`.
Status CheckRange(const Op& op, std::string_view name, int64_t value, int64_t minimum,
                  int64_t maximum);
/// Requires that the attribute `name` is one of `choices`.
Status CheckChoice(const Op& op, std::string_view name,
                   const std::vector<std::string_view>& choices);
/// Requires that `shape` has no negative dimension and is not too large for `element`.
Status CheckShape(const Op& op, ElementType element, const Shape& shape);
/// The same for a type with any layout, which must fit the shape.
Status CheckType(const Op& op, const TensorType& type);
/// Requires row-major operands: for ops that see the bytes and not only the elements.
Status CheckRowMajor(const Op& op);

/// Requires that all operands have the element type of the first.
Status CheckSameElement(const Op& op);
Status CheckFloat(const Op& op, size_t operand = 0);
/// f16, bf16, f32, f64 and the integers.
Status CheckNumeric(const Op& op, size_t operand = 0);
Status CheckInteger(const Op& op, size_t operand = 0);
Status CheckBool(const Op& op, size_t operand = 0);
/// i32 or i64: what indices may be.
Status CheckIndexElement(const Op& op, size_t operand);

/// The layout that all operands of the shape `shape` have; row-major when they differ.
Layout CommonLayout(const Op& op, const Shape& shape);

/// `element` and the numpy broadcast of all operands' shapes, in their common layout.
StatusOr<TensorType> InferBroadcast(const Op& op, ElementType element);

/// Reads operand `k`, of shape `shape`, at `index` of a shape that it broadcasts to: leading
/// dimensions that the operand lacks are dropped, dimensions of extent 1 are read at 0.
loop::Expr ReadBroadcast(const Reader& read, size_t k, const Shape& shape,
                         const std::vector<loop::Expr>& index);

/// a + b, a * b; an error of `op` when the result does not fit.
StatusOr<int64_t> CheckedAdd(const Op& op, int64_t a, int64_t b);
StatusOr<int64_t> CheckedMul(const Op& op, int64_t a, int64_t b);

}  // namespace kiln
