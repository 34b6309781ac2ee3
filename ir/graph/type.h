// Types of the graph IR: element type, static shape, physical layout.
//
// Invariants: every dimension is >= 0; the number of elements and of bytes fits in int64 (checked
// by CheckedByteSize, which all code that makes types from untrusted input calls first). The shape
// is logical and never changes with the layout.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ir/support/status.h"

namespace kiln {

enum class ElementType : uint8_t {
  kBool,
  kI8,
  kI16,
  kI32,
  kI64,
  kU8,
  kU16,
  kU32,
  kU64,
  kF16,
  kBF16,
  kF32,
  kF64,
};
inline constexpr int kNumElementTypes = 13;

/// "f32", "i64", "bool", ...: the spelling of the text form.
std::string_view Name(ElementType type);
std::optional<ElementType> ParseElementType(std::string_view name);
int64_t ByteSize(ElementType type);
bool IsFloat(ElementType type);    ///< f16, bf16, f32, f64
bool IsInteger(ElementType type);  ///< i8..u64, not bool
bool IsSigned(ElementType type);   ///< i8..i64 and the floats

using Shape = std::vector<int64_t>;

/// Product of the dimensions (1 for rank 0). The shape must have passed CheckedByteSize.
int64_t ElementCount(const Shape& shape);

inline constexpr int kMaxRank = 32;

/// The bytes of a row-major tensor of this shape; an error when it has more than kMaxRank
/// dimensions, when one is negative, or when a product overflows 2^48 bytes (no real tensor comes
/// near).
StatusOr<int64_t> CheckedByteSize(ElementType type, const Shape& shape);

/// Row-major strides in elements.
std::vector<int64_t> RowMajorStrides(const Shape& shape);

/// How the logical dimensions lie in memory: the dimensions in `order` (outermost first; empty
/// means 0,1,2,...), and then, innermost, one dimension per block. A blocked dimension d of extent
/// N and block size s is split into ceil(N/s) outer and s inner; the elements past N are zero.
/// A padded dimension has `low` zeros before its first element and `high` behind its last; it is
/// not blocked, and listed once. NCHW16c is {order = {}, blocks = {{1, 16}}}; the default (all
/// empty) is row-major.
struct Layout {
  struct Block {
    int dim;
    int64_t size;
    bool operator==(const Block&) const = default;
  };
  struct Padding {
    int dim;
    int64_t low;
    int64_t high;
    bool operator==(const Padding&) const = default;
  };
  std::vector<int> order;
  std::vector<Block> blocks;
  std::vector<Padding> padding;

  bool IsRowMajor() const { return order.empty() && blocks.empty() && padding.empty(); }
  bool operator==(const Layout&) const = default;
  /// The zeros around logical dimension `dim`; none when it is not padded.
  Padding PaddingOf(int dim) const;

  /// The layout in which transpose(x, perm) is the bytes of an x in this layout.
  Layout Transposed(const std::vector<int64_t>& perm) const;
  /// The extents in memory of a tensor of logical `shape`, outermost first.
  Shape PhysicalShape(const Shape& shape) const;
  /// "{1,0|1:16|2:1:1}": order, then blocks as dim:size, then padding as dim:low:high. Empty text
  /// for row-major.
  std::string ToString() const;
};

struct TensorType {
  ElementType element = ElementType::kF32;
  Shape shape;
  Layout layout;

  int rank() const { return static_cast<int>(shape.size()); }
  int64_t count() const { return ElementCount(shape); }
  /// Bytes in memory, the padding of blocked dimensions included.
  int64_t bytes() const;
  bool operator==(const TensorType&) const = default;
  /// "f32[1,3,224,224]", with the layout appended when it is not row-major.
  std::string ToString() const;
};

/// CheckedByteSize for a type with any layout: the bytes in memory; an error when the shape is too
/// large or the layout does not fit it (not a permutation, a block of a dimension that is absent).
StatusOr<int64_t> CheckedByteSize(const TensorType& type);

/// The numpy broadcast of two shapes, aligned at the right; an error names both shapes.
StatusOr<Shape> BroadcastShapes(const Shape& a, const Shape& b);

}  // namespace kiln
