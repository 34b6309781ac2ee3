#include "compiler/import/onnx/raw_data.h"

#include <sys/mman.h>
#include <unistd.h>

#include <limits>

#include "compiler/import/protobuf.h"

namespace kiln::onnx_import {

namespace {

// Small tensors are copied: one of them that lives on would keep the whole file mapped.
constexpr size_t kMinCutBytes = size_t{256} << 10;

// The fields on the way from a ModelProto to the raw data of an initializer, outermost first.
constexpr int kPath[] = {7 /* ModelProto.graph */, 5 /* GraphProto.initializer */,
                         9 /* TensorProto.raw_data */};
constexpr size_t kPathLength = std::size(kPath);

std::string Varint(uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
  return bytes + static_cast<char>(value);
}

// A copy of the message `bytes`, `depth` steps along the path, with its raw data cut out.
StatusOr<std::string> Copy(std::span<const char> bytes, size_t depth, RawData& raw_data) {
  std::string copy;
  while (!bytes.empty()) {
    const char* const start = bytes.data();
    WireField field;
    if (!NextWireField(&bytes, &field)) return InvalidInput("the file is malformed or cut short");
    if (field.wire_type != 2 || field.number != kPath[depth]) {
      copy.append(start, bytes.data());
      continue;
    }
    std::string content;
    if (depth + 1 < kPathLength) {
      KILN_ASSIGN_OR_RETURN(content, Copy(field.payload, depth + 1, raw_data));
    } else if (field.payload.size() >= kMinCutBytes) {
      content = raw_data.Add(field.payload);
    } else {
      content.assign(field.payload.begin(), field.payload.end());
    }
    copy += Varint(static_cast<uint64_t>(field.number) << 3 | 2) + Varint(content.size()) + content;
  }
  return copy;
}

}  // namespace

std::string RawData::Add(std::span<const char> payload) {
  std::string token = StrCat("at ", reinterpret_cast<uint64_t>(payload.data()));
  payloads_.emplace(token, payload);
  return token;
}

std::optional<std::span<const char>> RawData::Find(const std::string& raw_data) const {
  if (payloads_.empty() || raw_data.size() >= kMinCutBytes) return std::nullopt;
  const auto it = payloads_.find(raw_data);
  return it == payloads_.end() ? std::nullopt : std::optional(it->second);
}

std::shared_ptr<const void> RawData::OwnerOf(std::span<const char> bytes) const {
  return std::shared_ptr<const void>(bytes.data(), [file = file_, bytes](const void*) {
    const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
    const auto start = reinterpret_cast<uintptr_t>(bytes.data());
    const uintptr_t first = (start + page - 1) / page * page;
    const uintptr_t last = (start + bytes.size()) / page * page;
    if (first < last) madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
  });
}

StatusOr<std::string> CutOutRawData(RawData& raw_data) {
  const std::span<const char> bytes = raw_data.file().bytes();
  if (bytes.size() > static_cast<size_t>(std::numeric_limits<int32_t>::max())) {
    return InvalidInput("the file is over 2 GiB, the limit of its format");
  }
  return Copy(bytes, 0, raw_data);
}

}  // namespace kiln::onnx_import
