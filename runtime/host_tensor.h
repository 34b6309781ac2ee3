// A tensor in ordinary memory: what goes into and comes out of a session, a .npy file, an image.
//
// Invariants of a valid HostTensor: every extent is >= 0 and bytes.size() is the size of a dense
// row-major tensor of that dtype and shape. Code that gets one from elsewhere checks it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "runtime/abi/kiln.h"

namespace kiln {

struct HostTensor {
  kiln_dtype dtype = KILN_F32;
  std::vector<int64_t> shape;
  std::vector<char> bytes;

  int64_t rank() const { return static_cast<int64_t>(shape.size()); }
  /// The elements, for a T of the dtype's size.
  template <typename T>
  T* data() {
    return reinterpret_cast<T*>(bytes.data());
  }
  template <typename T>
  const T* data() const {
    return reinterpret_cast<const T*>(bytes.data());
  }
};

/// True for the values of kiln_dtype.
bool IsDtype(int32_t dtype);
/// "f32", "i64", "bool", ...; "dtype 99" for what is none.
std::string DtypeName(int32_t dtype);
/// Bytes of one element, 0 for what is no dtype.
int64_t DtypeSize(int32_t dtype);

/// Bytes of a dense tensor; an error when the dtype is none, an extent is negative or the product
/// exceeds 2^48 bytes.
absl::StatusOr<int64_t> TensorBytes(int32_t dtype, const std::vector<int64_t>& shape);

/// "f32[1,3,224,224]".
std::string TypeText(int32_t dtype, const std::vector<int64_t>& shape);

}  // namespace kiln
