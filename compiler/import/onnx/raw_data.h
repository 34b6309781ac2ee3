// The weights of an ONNX file stay in the mapped file: protobuf would copy every one of them.
//
// Before protobuf parses the file, the raw data of large initializers are cut out of its bytes and
// a token is put in their place, by which the importer finds them in the mapping.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>

#include "ir/support/file.h"
#include "ir/support/status.h"

namespace kiln::onnx_import {

/// Bytes of the mapped file that tokens stand for.
class RawData {
 public:
  /// No file, no tokens.
  RawData() = default;
  explicit RawData(std::shared_ptr<const MappedFile> file) : file_(std::move(file)) {}

  /// What `raw_data` stands for if it is a token.
  std::optional<std::span<const char>> Find(const std::string& raw_data) const;
  const MappedFile& file() const { return *file_; }
  /// Keeps `bytes` of the file mapped. When the last owner goes, their pages leave memory, even if
  /// other parts of the file live on.
  std::shared_ptr<const void> OwnerOf(std::span<const char> bytes) const;

  /// A token for `payload`, a part of the file. It tells where the file is mapped, which no file
  /// can know, so none holds a token of its own making.
  std::string Add(std::span<const char> payload);

 private:
  std::shared_ptr<const MappedFile> file_;
  std::unordered_map<std::string, std::span<const char>> payloads_;  // by token
};

/// The bytes of a serialised ModelProto, the content of `raw_data`'s file, with tokens for the raw
/// data of initializers that are large. An error when they are malformed down to there, or above 2
/// GiB.
StatusOr<std::string> CutOutRawData(RawData& raw_data);

}  // namespace kiln::onnx_import
