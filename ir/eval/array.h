// Array: a tensor of the reference interpreter. Floats are held in double, integers and bool in
// int64 (u64 by its bits), whatever the element type; always row-major over the logical shape.
#pragma once

#include <cstdint>
#include <vector>

#include "ir/graph/tensor.h"
#include "ir/graph/type.h"

namespace kiln {

struct Array {
  ElementType element = ElementType::kF32;
  Shape shape;
  std::vector<double> floats;  ///< when IsFloat(element)
  std::vector<int64_t> ints;   ///< otherwise

  Array() = default;
  /// Zero-filled.
  Array(ElementType element, Shape shape);
  /// From a known tensor of any layout.
  static Array FromTensor(const Tensor& tensor);
  /// Rounded to the element type; with `layout` the bytes are arranged (and padded) for it.
  Tensor ToTensor(const Layout& layout = {}) const;

  bool is_float() const { return IsFloat(element); }
  int64_t count() const { return static_cast<int64_t>(is_float() ? floats.size() : ints.size()); }
  double GetDouble(int64_t i) const {
    return is_float()                     ? floats[i]
           : element == ElementType::kU64 ? static_cast<double>(static_cast<uint64_t>(ints[i]))
                                          : static_cast<double>(ints[i]);
  }
  int64_t GetInt(int64_t i) const { return is_float() ? static_cast<int64_t>(floats[i]) : ints[i]; }
  /// Copies element `from_index` of `from` (same element type) to `index`.
  void CopyElement(int64_t index, const Array& from, int64_t from_index) {
    if (is_float()) {
      floats[index] = from.floats[from_index];
    } else {
      ints[index] = from.ints[from_index];
    }
  }
};

/// An integer wrapped to the width and sign of `element` (bool: 0 or 1).
int64_t WrapInt(ElementType element, int64_t value);

/// Steps through all multi-indices of `shape` in row-major order:
///   for (Index i(shape); i.valid(); i.Next()) ... i[0], i.linear() ...
class Index {
 public:
  explicit Index(const Shape& shape);
  bool valid() const { return linear_ < count_; }
  void Next();
  int64_t operator[](size_t d) const { return index_[d]; }
  const std::vector<int64_t>& values() const { return index_; }
  int64_t linear() const { return linear_; }

 private:
  Shape shape_;
  std::vector<int64_t> index_;
  int64_t linear_ = 0;
  int64_t count_;
};

/// The row-major position of `index` in `shape`, where dimensions of extent 1 are broadcast and
/// `index` may have more leading dimensions than `shape`.
int64_t BroadcastOffset(const Shape& shape, const std::vector<int64_t>& index);
/// The row-major position of `index` in `shape`.
int64_t Offset(const Shape& shape, const std::vector<int64_t>& index);

}  // namespace kiln
