#include "tools/tensors.h"

#include <cmath>
#include <numbers>

namespace kiln {

// Both enumerations list the types in one order.
static_assert(static_cast<int>(ElementType::kBool) == KILN_BOOL);
static_assert(static_cast<int>(ElementType::kU8) == KILN_U8);
static_assert(static_cast<int>(ElementType::kF64) == KILN_F64);
static_assert(kNumElementTypes == KILN_F64 + 1);

kiln_dtype ToDtype(ElementType element) { return static_cast<kiln_dtype>(element); }
ElementType ToElementType(kiln_dtype dtype) { return static_cast<ElementType>(dtype); }

HostTensor ToHostTensor(const Tensor& tensor) {
  const std::span<const char> bytes = tensor.bytes();
  return {ToDtype(tensor.type().element), tensor.shape(), {bytes.begin(), bytes.end()}};
}

HostTensor ToHostTensor(const Array& array) { return ToHostTensor(array.ToTensor()); }

Tensor ToTensor(const HostTensor& tensor) {
  return Tensor({ToElementType(tensor.dtype), tensor.shape, {}}, tensor.bytes);
}

Array ToArray(const HostTensor& tensor) { return Array::FromTensor(ToTensor(tensor)); }

double Normal(SplitMix64& random) {
  // Box and Muller; the first uniform number is in (0, 1], so that its logarithm is finite.
  const double u = random.Uniform() + 0x1p-53;
  const double v = random.Uniform();
  return std::sqrt(-2 * std::log(u)) * std::cos(2 * std::numbers::pi * v);
}

uint64_t SeedFor(uint64_t seed, const std::string& name) {
  uint64_t hash = 0xcbf29ce484222325 ^ seed;  // FNV-1a
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

absl::StatusOr<HostTensor> RandomTensor(const TensorSignature& signature, uint64_t seed) {
  const auto bytes = TensorBytes(signature.dtype, signature.shape);
  if (!bytes.ok()) return bytes.status();
  HostTensor tensor{signature.dtype, signature.shape, std::vector<char>(*bytes)};
  const ElementType element = ToElementType(signature.dtype);
  const int64_t size = ByteSize(element);
  SplitMix64 random(SeedFor(seed, signature.name));
  for (char* at = tensor.bytes.data(); at != tensor.bytes.data() + *bytes; at += size) {
    if (IsFloat(element)) {
      StoreDouble(element, at, Normal(random));
    } else {
      StoreInt(element, at,
               static_cast<int64_t>(random.Next() >> (signature.dtype == KILN_U8 ? 56 : 63)));
    }
  }
  return tensor;
}

}  // namespace kiln
