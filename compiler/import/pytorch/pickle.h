// The tensors that torch.save wrote as a dictionary: a zip archive with storages and a pickle that
// tells what lies in them. A pickle is a program, which nothing here runs: the few instructions
// that such a dictionary consists of are read as a description, all others are refused.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "ir/graph/tensor.h"
#include "ir/support/status.h"

namespace kiln::pytorch_import {

/// A tensor as the pickle tells it: a box over the storage in the member data/`storage`.
struct PickledTensor {
  std::string storage;
  ElementType element = ElementType::kF32;
  Shape sizes;
  std::vector<int64_t> strides;
  int64_t offset = 0;
};

/// Reads the pickle of a dictionary from names to tensors (protocol 2). Unimplemented where it
/// holds anything else.
StatusOr<std::map<std::string, PickledTensor>> ReadPickle(std::span<const char> bytes);

/// The tensors in the bytes of a file of torch.save; unsupported and damaged ones are errors.
StatusOr<std::map<std::string, Tensor>> ReadSavedTensors(std::span<const char> bytes);

}  // namespace kiln::pytorch_import
