// MXNet's .params files: lists of named arrays, in all of the forms that MXNet has written.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>

#include "ir/graph/tensor.h"
#include "ir/support/status.h"

namespace kiln::mxnet_import {

struct Array {
  Tensor tensor;
  bool auxiliary = false;  ///< a statistic ("aux:NAME"), not a weight ("arg:NAME" or plain NAME)
};
using Arrays = std::map<std::string, Array>;

/// Whether `bytes` start as such a file does.
bool LooksLikeParams(std::span<const char> bytes);

/// Reads a whole file; tensors share its bytes, which `owner` keeps alive.
StatusOr<Arrays> ReadParams(std::span<const char> bytes, std::shared_ptr<const void> owner);

/// The element type of MXNet's type flag.
StatusOr<ElementType> ToElementType(int64_t flag);

}  // namespace kiln::mxnet_import
