// ZipArchive: the members of a zip file, read whole. What the archive says of sizes is not believed
// before there are as many bytes, and each member's checksum is compared.
#pragma once

#include <zip.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace kiln {

class ZipArchive {
 public:
  static absl::StatusOr<ZipArchive> Open(const std::string& path);
  /// `bytes` must outlive the archive.
  static absl::StatusOr<ZipArchive> Open(std::span<const char> bytes);

  /// The names of all members, in order.
  std::vector<std::string> Names() const;
  bool Has(const std::string& name) const;
  /// A member's bytes; InvalidArgument, "NAME: reason", when there is no such member or it is
  /// damaged or has more than `max_bytes`.
  absl::StatusOr<std::vector<char>> Read(const std::string& name, uint64_t max_bytes) const;

 private:
  explicit ZipArchive(zip_t* zip) : zip_(zip, &zip_discard) {}
  std::unique_ptr<zip_t, decltype(&zip_discard)> zip_;
};

}  // namespace kiln
