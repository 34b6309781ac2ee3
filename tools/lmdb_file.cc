#include "tools/lmdb_file.h"

#include <bit>
#include <cstring>
#include <filesystem>
#include <span>

namespace kiln {

namespace {

// A page: number (u64), unused (u16), flags (u16), then of a branch or leaf the ends of the array
// of nodes' positions and of the room behind it (u16 each), of the first of an overflow their count
// (u32). The positions (u16 each) follow.
constexpr size_t kPageHeader = 16;
constexpr size_t kFlagsAt = 10, kLowerAt = 12;
enum PageFlags : uint16_t { kBranch = 1, kLeaf = 2, kOverflow = 4, kMeta = 8 };
constexpr uint16_t kKindOfPage = 0x6f;  // all flags but "dirty"

// Pages 0 and 1 are metas; behind the header: magic (u32), version (u32), address, size of the map,
// the databases of free pages and of entries, last page, transaction (u64 each).
constexpr size_t kMetaBytes = 136;
constexpr uint32_t kMagic = 0xbeefc0de;
constexpr uint32_t kVersion = 1;
constexpr size_t kFreeAt = 24, kMainAt = 72, kTransactionAt = 128;
// A database: size of a page in that of free pages (u32), flags (u16), depth (u16), counts of
// branch, leaf and overflow pages, count of entries, root (u64 each).
constexpr size_t kDatabaseFlagsAt = 4, kRootAt = 40;
constexpr uint64_t kNoRoot = ~uint64_t{0};

// A node: low and high half of the value's size, flags, size of the key (u16 each), key, value. In
// a branch, the child's number is where sizes and flags are; a large value is the number (u64) of
// its first page.
constexpr size_t kNodeHeader = 8;
constexpr uint16_t kLargeValue = 1;

constexpr int kMaxDepth = 32;  // liblmdb's own limit

template <typename T>
T At(std::span<const char> bytes, size_t position) {
  static_assert(std::endian::native == std::endian::little);
  T value;
  std::memcpy(&value, bytes.data() + position, sizeof value);
  return value;
}

}  // namespace

/// Follows the tree of a file from the newer of its two metas.
class LmdbWalk {
 public:
  explicit LmdbWalk(LmdbFile& database) : database_(database) {}

  Status Run() {
    KILN_RETURN_IF_ERROR(ReadMetas());
    if (root_ == kNoRoot) return OkStatus();
    return Visit(root_, 0);
  }

 private:
  Status Damaged(std::string_view what) const {
    return InvalidInput(database_.path_, ": the database is damaged: ", what);
  }

  StatusOr<std::vector<char>> Read(uint64_t offset, uint64_t size) const {
    const uint64_t end = database_.file_.size();
    if (offset > end || size > end - offset) return Damaged("the file ends before a page does");
    return database_.file_.Read(offset, size);
  }

  Status ReadMetas() {
    uint64_t newest = 0;
    for (int number = 0; number < 2; ++number) {
      KILN_ASSIGN_OR_RETURN(const std::vector<char> page,
                            Read(number * page_bytes_, kPageHeader + kMetaBytes));
      const std::span<const char> meta = std::span(page).subspan(kPageHeader);
      if ((At<uint16_t>(page, kFlagsAt) & kMeta) == 0 || At<uint32_t>(meta, 0) != kMagic ||
          At<uint32_t>(meta, 4) != kVersion) {
        return InvalidInput(database_.path_, ": is no LMDB database of version 1");
      }
      const auto page_bytes = At<uint32_t>(meta, kFreeAt);
      if (!std::has_single_bit(page_bytes) || page_bytes < 512 || page_bytes > 1 << 16 ||
          (number > 0 && page_bytes != page_bytes_)) {
        return Damaged("a page has an impossible size");
      }
      page_bytes_ = page_bytes;
      const auto transaction = At<uint64_t>(meta, kTransactionAt);
      if (number > 0 && transaction <= newest) continue;
      newest = transaction;
      root_ = At<uint64_t>(meta, kMainAt + kRootAt);
      database_flags_ = At<uint16_t>(meta, kMainAt + kDatabaseFlagsAt);
    }
    if (database_flags_ == 0) return OkStatus();
    return InvalidInput(database_.path_,
                        ": expected a database of plain keys, one value each, found flags ",
                        database_flags_);
  }

  StatusOr<uint64_t> OffsetOf(uint64_t page) const {
    if (page >= database_.file_.size() / page_bytes_) return Damaged("a page is not in the file");
    return page * page_bytes_;
  }

  // A page that is met twice makes the file's pages too few, so that no file takes long.
  Status Visit(uint64_t number, int depth) {
    if (depth >= kMaxDepth) return Damaged("the tree is too deep");
    if (++visited_ > database_.file_.size() / page_bytes_) return Damaged("a page is met twice");
    KILN_ASSIGN_OR_RETURN(const uint64_t offset, OffsetOf(number));
    KILN_ASSIGN_OR_RETURN(const std::vector<char> page, Read(offset, page_bytes_));
    const int kind = At<uint16_t>(page, kFlagsAt) & kKindOfPage;
    if (kind != kBranch && kind != kLeaf) return Damaged("a page is of another kind");
    const size_t lower = At<uint16_t>(page, kLowerAt);
    if (lower < kPageHeader || lower > page.size()) return Damaged("a page has no room");
    for (size_t at = kPageHeader; at + 2 <= lower; at += 2) {
      const size_t node = At<uint16_t>(page, at);
      if (node < lower || node + kNodeHeader > page.size()) return Damaged("a node is outside");
      KILN_RETURN_IF_ERROR(kind == kBranch ? Visit(ChildOf(page, node), depth + 1)
                                           : Add(page, offset, node));
    }
    return OkStatus();
  }

  static uint64_t ChildOf(std::span<const char> page, size_t node) {
    return At<uint32_t>(page, node) | uint64_t{At<uint16_t>(page, node + 4)} << 32;
  }

  // The entry at `node` of the leaf at `offset` of the file.
  Status Add(std::span<const char> page, uint64_t offset, size_t node) {
    const uint64_t size = At<uint32_t>(page, node);
    const auto flags = At<uint16_t>(page, node + 4);
    const size_t value = node + kNodeHeader + At<uint16_t>(page, node + 6);
    const bool large = flags == kLargeValue;
    if (flags != 0 && !large) return Damaged("a value is of another kind");
    if (value + (large ? sizeof(uint64_t) : size) > page.size())
      return Damaged("a node is outside");
    if (!large) return Add({offset + value, size});
    KILN_ASSIGN_OR_RETURN(const uint64_t first, OffsetOf(At<uint64_t>(page, value)));
    KILN_ASSIGN_OR_RETURN(const std::vector<char> header, Read(first, kPageHeader));
    if ((At<uint16_t>(header, kFlagsAt) & kKindOfPage) != kOverflow) {
      return Damaged("a page is of another kind");
    }
    return Add({first + kPageHeader, size});
  }

  // Values do not overlap, so they are no larger than the file together.
  Status Add(LmdbFile::Range value) {
    const uint64_t end = database_.file_.size();
    value_bytes_ += value.size;
    if (value.size > end - value.offset || value_bytes_ > end) {
      return Damaged("values are larger than the file");
    }
    database_.values_.push_back(value);
    return OkStatus();
  }

  LmdbFile& database_;
  uint32_t page_bytes_ = 0;
  uint64_t root_ = kNoRoot;
  uint16_t database_flags_ = 0;
  uint64_t visited_ = 0;
  uint64_t value_bytes_ = 0;
};

StatusOr<LmdbFile> LmdbFile::Open(const std::string& path) {
  std::error_code error;
  const bool is_folder = std::filesystem::is_directory(path, error);
  KILN_ASSIGN_OR_RETURN(InputFile file, InputFile::Open(is_folder ? path + "/data.mdb" : path));
  LmdbFile database(path, std::move(file));
  KILN_RETURN_IF_ERROR(LmdbWalk(database).Run());
  return database;
}

StatusOr<std::vector<char>> LmdbFile::Value(int64_t entry) const {
  const Range& range = values_[static_cast<size_t>(entry)];
  return file_.Read(range.offset, range.size);
}

}  // namespace kiln
