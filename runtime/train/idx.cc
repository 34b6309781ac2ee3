#include "runtime/train/idx.h"

#include <zlib.h>

#include <algorithm>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "runtime/file.h"

namespace kiln {

namespace {

constexpr uint64_t kMaxFileBytes = uint64_t{1} << 32;
constexpr uint8_t kUnsignedBytes = 8;  // the type code of u8
constexpr size_t kChunk = size_t{1} << 20;

absl::Status Bad(const std::string& path, std::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": ", absl::string_view(what.data(), what.size())));
}

bool IsGzip(const std::vector<char>& bytes) {
  return bytes.size() >= 2 && bytes[0] == '\x1f' && bytes[1] == '\x8b';
}

// Decompresses at most `limit` bytes; what comes behind is left.
absl::StatusOr<std::vector<char>> Inflate(const std::string& path, std::vector<char>& packed,
                                          uint64_t limit) {
  z_stream stream = {};
  constexpr int kGzip = 16 + MAX_WBITS;
  if (inflateInit2(&stream, kGzip) != Z_OK) return Bad(path, "zlib does not start");
  stream.next_in = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_in = static_cast<uInt>(packed.size());
  std::vector<char> bytes;
  int result = Z_OK;
  while (result == Z_OK && bytes.size() < limit) {
    const size_t start = bytes.size();
    const size_t room = std::min<uint64_t>(kChunk, limit - start);
    bytes.resize(start + room);
    stream.next_out = reinterpret_cast<Bytef*>(bytes.data() + start);
    stream.avail_out = static_cast<uInt>(room);
    result = inflate(&stream, Z_NO_FLUSH);
    bytes.resize(start + room - stream.avail_out);
  }
  inflateEnd(&stream);
  if (result != Z_OK && result != Z_STREAM_END) return Bad(path, "is damaged (gzip)");
  return bytes;
}

uint32_t BigEndian(const char* at) {
  const auto* const bytes = reinterpret_cast<const uint8_t*>(at);
  return uint32_t{bytes[0]} << 24 | uint32_t{bytes[1]} << 16 | uint32_t{bytes[2]} << 8 | bytes[3];
}

}  // namespace

absl::StatusOr<IdxArray> ReadIdxArray(const std::string& path, int rank) {
  absl::StatusOr<std::vector<char>> bytes = ReadFile(path, kMaxFileBytes);
  if (!bytes.ok()) return bytes.status();
  const size_t header = 4 + 4 * static_cast<size_t>(rank);
  if (IsGzip(*bytes)) {
    bytes = Inflate(path, *bytes, kMaxFileBytes);
    if (!bytes.ok()) return bytes.status();
  }
  const char* const start = bytes->data();
  if (bytes->size() < header || start[0] != 0 || start[1] != 0 || start[2] != kUnsignedBytes ||
      start[3] != rank) {
    return Bad(path, absl::StrCat("expected an idx file of bytes in ", rank, " dimensions"));
  }
  IdxArray array;
  uint64_t count = 1;
  for (int d = 0; d < rank; ++d) {
    const uint32_t extent = BigEndian(start + 4 + 4 * d);
    array.shape.push_back(extent);
    count = count * extent;
    if (extent == 0 || count > kMaxFileBytes) return Bad(path, "has an extent that cannot be");
  }
  if (bytes->size() - header != count) {
    return Bad(path, absl::StrCat("expected ", count, " bytes behind the header, found ",
                                  bytes->size() - header));
  }
  array.bytes.assign(start + header, start + bytes->size());
  return array;
}

}  // namespace kiln
