// A constant tensor: a type and immutable, shared bytes (little-endian, in the type's layout).
//
// Invariants: when known(), bytes().size() == type().bytes(); copies share the bytes; the content
// hash depends on the bytes alone. A tensor whose side file is missing is unknown: it has a type
// and a hash, and no bytes. A deferred tensor is known, and its bytes are computed when they are
// first asked for.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ir/graph/type.h"

namespace kiln {

class TensorRecipe;

class Tensor {
 public:
  Tensor() = default;
  /// Takes ownership; `bytes` must have the size of the type.
  Tensor(TensorType type, std::vector<char> bytes);
  /// Shares bytes that somebody else keeps alive (a mapped file).
  Tensor(TensorType type, std::shared_ptr<const void> owner, std::span<const char> bytes);
  /// A tensor whose values are not at hand.
  static Tensor Unknown(TensorType type, std::string hash);
  /// A tensor whose bytes `recipe` computes: when they are first asked for, and now when they are
  /// few.
  static Tensor Deferred(TensorType type, std::shared_ptr<const TensorRecipe> recipe);
  /// Every element is `value`, converted to the element type.
  static Tensor Splat(TensorType type, double value);
  static Tensor FromInts(ElementType element, Shape shape, const std::vector<int64_t>& values);
  static Tensor FromDoubles(ElementType element, Shape shape, const std::vector<double>& values);

  const TensorType& type() const { return type_; }
  const Shape& shape() const { return type_.shape; }
  bool known() const {
    return type_.bytes() == 0 || bytes_.data() != nullptr || deferred_ != nullptr;
  }
  std::span<const char> bytes() const { return deferred_ == nullptr ? bytes_ : ComputedBytes(); }
  template <typename T>
  const T* data() const {
    return reinterpret_cast<const T*>(bytes().data());
  }
  /// How the bytes of a deferred tensor are computed; null once they are there.
  std::shared_ptr<const TensorRecipe> recipe() const;
  /// Writes the bytes to `to`, on several threads where they are many. Those of a deferred tensor
  /// are computed there and not kept.
  void CopyTo(char* to) const;
  /// Equal for tensors that share their bytes or how these are computed; null where there are none.
  const void* identity() const;

  /// Element `i` in memory order, whatever the element type. Requires known().
  double GetDouble(int64_t i) const;
  int64_t GetInt(int64_t i) const;
  std::vector<int64_t> ToInts() const;
  std::vector<double> ToDoubles() const;

  /// The same bytes under another shape of as many elements (row-major only).
  Tensor Reshaped(Shape shape) const;
  /// The same bytes under another type that has as many.
  Tensor Retyped(TensorType type) const;

  /// ContentHash of the bytes.
  const std::string& hash() const;
  /// Equal type and equal content.
  bool operator==(const Tensor& other) const;

 private:
  struct Computation;
  std::span<const char> ComputedBytes() const;

  TensorType type_;
  std::shared_ptr<const void> owner_;
  std::span<const char> bytes_;
  std::shared_ptr<Computation> deferred_;
  mutable std::string hash_;
};

/// 32 hex digits, XXH3-128 of `bytes`.
std::string ContentHash(std::span<const char> bytes);

/// Reads and writes one element of any element type as double or int64; conversions to narrower
/// types round to nearest (floats) or wrap (integers).
double LoadDouble(ElementType type, const char* address);
int64_t LoadInt(ElementType type, const char* address);
void StoreDouble(ElementType type, char* address, double value);
void StoreInt(ElementType type, char* address, int64_t value);

/// IEEE binary16 and bfloat16 conversions, round to nearest even.
float HalfToFloat(uint16_t bits);
uint16_t FloatToHalf(float value);
float BFloat16ToFloat(uint16_t bits);
uint16_t FloatToBFloat16(float value);

/// `value` rounded to what `type` can hold (f16, bf16, f32), as a double.
double RoundTo(ElementType type, double value);

}  // namespace kiln
