// Tensors of the compiler (Tensor, Array) to and from those of the runtime (HostTensor), and random
// ones.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "ir/eval/array.h"
#include "ir/graph/tensor.h"
#include "ir/support/random.h"
#include "runtime/host_tensor.h"

namespace kiln {

/// Name, element type and shape of an input or output.
struct TensorSignature {
  std::string name;
  kiln_dtype dtype = KILN_F32;
  std::vector<int64_t> shape;
};

kiln_dtype ToDtype(ElementType element);
ElementType ToElementType(kiln_dtype dtype);

/// Requires a known, row-major tensor.
HostTensor ToHostTensor(const Tensor& tensor);
HostTensor ToHostTensor(const Array& array);
Tensor ToTensor(const HostTensor& tensor);
Array ToArray(const HostTensor& tensor);

/// A number from the normal distribution N(0, 1).
double Normal(SplitMix64& random);

/// A seed for the tensor called `name`, so that equal tensors of a model get different values.
uint64_t SeedFor(uint64_t seed, const std::string& name);

/// Floats from N(0, 1), u8 from 0..255, other integers and bools 0 or 1.
absl::StatusOr<HostTensor> RandomTensor(const TensorSignature& signature, uint64_t seed);

}  // namespace kiln
