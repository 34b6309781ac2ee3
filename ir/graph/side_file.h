// The side file: the bytes of large tensors, beside `foo.kir` as `foo.kir.data`, by content hash,
// so that equal tensors are stored once.
//
// Format, little-endian: header {8 bytes "KILNDATA", u32 version 1, u32 0, u64 entries, u64 XXH3-64
// of the table}, table of entries {16 bytes hash, u64 offset from the start of the file, u64 size}
// in ascending order of hash, then the contents, each aligned to 64 bytes.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ir/graph/graph.h"
#include "ir/graph/tensor.h"
#include "ir/support/file.h"
#include "ir/support/status.h"

namespace kiln {

class SideFile {
 public:
  /// Maps the file and checks header and table. NotFound when there is no such file.
  static StatusOr<std::shared_ptr<const SideFile>> Open(const std::string& path);

  /// The tensor of this type and content hash, sharing the mapped bytes; an unknown tensor when the
  /// file does not hold it. An error when the content has another size than the type or does not
  /// have that hash (the file is damaged).
  StatusOr<Tensor> Read(const TensorType& type, const std::string& hash) const;

 private:
  SideFile(std::string path, std::shared_ptr<const MappedFile> file)
      : path_(std::move(path)), file_(std::move(file)) {}
  Status CheckTable();

  std::string path_;
  std::shared_ptr<const MappedFile> file_;
  std::span<const char> table_;
};

/// Writes the bytes of `tensors` (all known), replacing the file in one step.
Status WriteSideFile(const std::string& path, const std::vector<Tensor>& tensors);

/// The known tensors of a module, parameters and attributes, that its text does not hold inline.
std::vector<Tensor> SideTensors(const Module& module);

/// Where the side file of a model file is: PATH.data.
std::string SideFilePath(const std::string& model_path);

/// The side file of a model file, or nullptr when it has none.
StatusOr<std::shared_ptr<const SideFile>> OpenSideFileOf(const std::string& model_path);

/// Reads a tensor named by type and content hash, for the readers of model files: `side_file` may
/// be null, and then the tensor is unknown. Checks the form of the hash; the type must have passed
/// CheckedByteSize.
StatusOr<Tensor> ReadSideTensor(const SideFile* side_file, const TensorType& type,
                                const std::string& hash);

}  // namespace kiln
