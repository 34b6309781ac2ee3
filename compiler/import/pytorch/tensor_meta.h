// How PyTorch's files describe tensors: an element type, a box of strides over a storage.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "compiler/import/foreign/json.h"
#include "ir/graph/tensor.h"
#include "ir/support/status.h"

namespace kiln::pytorch_import {

/// An extent, or the symbol of one that the model leaves open.
struct Extent {
  int64_t value = -1;  ///< -1: open
  std::string symbol;
};

/// TensorMeta of torch/_export/serde/schema.py. `element` is absent where Kiln has no such type.
struct TensorMeta {
  std::optional<ElementType> element;
  std::vector<Extent> sizes;
  std::vector<int64_t> strides;  ///< in elements; -1: open
  int64_t offset = 0;            ///< in elements
  bool requires_grad = false;
};

/// The element type that schema.py's ScalarType numbers so; nullopt where Kiln has none.
std::optional<ElementType> ToElementType(int64_t scalar_type);

StatusOr<TensorMeta> ReadTensorMeta(const foreign::Json& json);

/// A storage's bytes; several tensors may lie in it.
struct Storage {
  std::shared_ptr<const void> owner;
  std::span<const char> bytes;
};

/// Makes tensors of storages. One that lies there in row-major order shares the bytes.
class StorageReader {
 public:
  /// For an archive of this many bytes, which bounds what is copied.
  explicit StorageReader(size_t archive_bytes)
      : budget_(static_cast<int64_t>(archive_bytes) + kRepeatedBytes) {}

  /// The box of `sizes` and `strides` from element `offset` on. An error when it does not lie in
  /// the storage, or when tensors that read elements more than once (strides of 0) become large.
  StatusOr<Tensor> Read(const Storage& storage, ElementType element, const Shape& sizes,
                        const std::vector<int64_t>& strides, int64_t offset);

 private:
  /// What tensors that repeat elements may take beyond the storages, all together.
  static constexpr int64_t kRepeatedBytes = int64_t{256} << 20;
  int64_t budget_;  // bytes that may still be copied
};

}  // namespace kiln::pytorch_import
