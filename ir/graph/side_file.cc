#include "ir/graph/side_file.h"

#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "ir/graph/printer.h"

namespace kiln {

namespace {

constexpr char kMagic[8] = {'K', 'I', 'L', 'N', 'D', 'A', 'T', 'A'};
constexpr uint32_t kVersion = 1;
constexpr uint64_t kAlignment = 64;
constexpr size_t kHashDigits = 32;

struct Header {
  char magic[8];
  uint32_t version;
  uint32_t reserved;
  uint64_t entries;
  uint64_t table_hash;
};
static_assert(sizeof(Header) == 32);

struct Entry {
  unsigned char hash[16];
  uint64_t offset;
  uint64_t size;
};
static_assert(sizeof(Entry) == 32);

uint64_t AlignUp(uint64_t offset) { return (offset + kAlignment - 1) / kAlignment * kAlignment; }

bool IsHash(const std::string& text) {
  return text.size() == kHashDigits && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

void PackHash(const std::string& digits, unsigned char* bytes) {
  const auto value = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  for (size_t i = 0; i < 16; ++i) {
    bytes[i] = static_cast<unsigned char>(value(digits[2 * i]) * 16 + value(digits[2 * i + 1]));
  }
}

Entry EntryAt(std::span<const char> table, size_t i) {
  Entry entry;
  std::memcpy(&entry, table.data() + i * sizeof(Entry), sizeof(Entry));
  return entry;
}

template <typename T>
std::span<const char> BytesOf(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof(value)};
}

void AddSideTensors(const Graph& graph, std::vector<Tensor>& tensors) {
  for (const auto& op : graph.ops()) {
    for (const auto& [name, value] : op->attributes()) {
      if (value.kind() != Attribute::Kind::kTensor) continue;
      const Tensor& tensor = value.as<Tensor>();
      if (tensor.known() && !IsInline(tensor)) tensors.push_back(tensor);
    }
    if (op->body() != nullptr) AddSideTensors(*op->body(), tensors);
  }
}

}  // namespace

StatusOr<std::shared_ptr<const SideFile>> SideFile::Open(const std::string& path) {
  KILN_ASSIGN_OR_RETURN(auto mapped, MappedFile::Open(path));
  std::shared_ptr<SideFile> file(new SideFile(path, std::move(mapped)));
  KILN_RETURN_IF_ERROR(file->CheckTable());
  return std::shared_ptr<const SideFile>(std::move(file));
}

Status SideFile::CheckTable() {
  const std::span<const char> bytes = file_->bytes();
  Header header;
  if (bytes.size() < sizeof(header)) return InvalidInput(path_, ": is too short for a side file");
  std::memcpy(&header, bytes.data(), sizeof(header));
  if (std::memcmp(header.magic, kMagic, sizeof(kMagic)) != 0) {
    return InvalidInput(path_, ": is not a side file of Kiln");
  }
  if (header.version != kVersion) {
    return Unsupported(path_, ": has version ", header.version, ", expected ", kVersion);
  }
  if (header.entries > (bytes.size() - sizeof(header)) / sizeof(Entry)) {
    return InvalidInput(path_, ": is cut off in its table");
  }
  table_ = bytes.subspan(sizeof(header), header.entries * sizeof(Entry));
  if (XXH3_64bits(table_.data(), table_.size()) != header.table_hash) {
    return InvalidInput(path_, ": its table is damaged");
  }
  const uint64_t contents = sizeof(header) + table_.size();
  for (size_t i = 0; i < header.entries; ++i) {
    const Entry entry = EntryAt(table_, i);
    if (entry.offset % kAlignment != 0 || entry.offset < contents) {
      return InvalidInput(path_, ": its table is damaged");
    }
    if (entry.offset > bytes.size() || entry.size > bytes.size() - entry.offset) {
      return InvalidInput(path_, ": is cut off");
    }
    if (i > 0 && std::memcmp(EntryAt(table_, i - 1).hash, entry.hash, sizeof(entry.hash)) >= 0) {
      return InvalidInput(path_, ": its table is not in order");
    }
  }
  return OkStatus();
}

StatusOr<Tensor> SideFile::Read(const TensorType& type, const std::string& hash) const {
  unsigned char key[16];
  PackHash(hash, key);
  size_t low = 0;
  size_t high = table_.size() / sizeof(Entry);
  while (low < high) {
    const size_t middle = (low + high) / 2;
    if (std::memcmp(EntryAt(table_, middle).hash, key, sizeof(key)) < 0) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  if (low * sizeof(Entry) == table_.size()) return Tensor::Unknown(type, hash);
  const Entry entry = EntryAt(table_, low);
  if (std::memcmp(entry.hash, key, sizeof(key)) != 0) return Tensor::Unknown(type, hash);
  const std::span<const char> bytes = file_->bytes().subspan(entry.offset, entry.size);
  if (static_cast<int64_t>(bytes.size()) != type.bytes()) {
    return InvalidInput(path_, ": the tensor ", hash, " has ", entry.size, " bytes, expected ",
                        type.bytes(), " for ", type.ToString());
  }
  if (ContentHash(bytes) != hash) {
    return InvalidInput(path_, ": the content of the tensor ", hash, " is damaged");
  }
  return Tensor(type, file_, bytes);
}

Status WriteSideFile(const std::string& path, const std::vector<Tensor>& tensors) {
  std::map<std::string, std::span<const char>> contents;  // by hash, so in the table's order
  for (const Tensor& tensor : tensors) contents.emplace(tensor.hash(), tensor.bytes());
  std::vector<Entry> table;
  uint64_t offset = sizeof(Header) + contents.size() * sizeof(Entry);
  for (const auto& [hash, bytes] : contents) {
    Entry& entry = table.emplace_back();
    PackHash(hash, entry.hash);
    entry.offset = AlignUp(offset);
    entry.size = bytes.size();
    offset = entry.offset + entry.size;
  }
  Header header = {{}, kVersion, 0, table.size(), 0};
  std::memcpy(header.magic, kMagic, sizeof(kMagic));
  const std::span<const char> table_bytes(reinterpret_cast<const char*>(table.data()),
                                          table.size() * sizeof(Entry));
  header.table_hash = XXH3_64bits(table_bytes.data(), table_bytes.size());
  static constexpr char kPadding[kAlignment] = {};
  std::vector<std::span<const char>> pieces = {BytesOf(header), table_bytes};
  uint64_t written = sizeof(Header) + table_bytes.size();
  for (const auto& [hash, bytes] : contents) {
    pieces.emplace_back(kPadding, AlignUp(written) - written);
    pieces.push_back(bytes);
    written = AlignUp(written) + bytes.size();
  }
  return WriteFileAtomically(path, pieces);
}

std::vector<Tensor> SideTensors(const Module& module) {
  std::vector<Tensor> tensors;
  for (const auto& [name, parameter] : module.parameters()) {
    if (parameter.value.known() && !IsInline(parameter.value)) tensors.push_back(parameter.value);
  }
  for (const auto& function : module.functions()) AddSideTensors(*function, tensors);
  return tensors;
}

std::string SideFilePath(const std::string& model_path) { return model_path + ".data"; }

StatusOr<std::shared_ptr<const SideFile>> OpenSideFileOf(const std::string& model_path) {
  auto file = SideFile::Open(SideFilePath(model_path));
  if (absl::IsNotFound(file.status())) return std::shared_ptr<const SideFile>();
  return file;
}

StatusOr<Tensor> ReadSideTensor(const SideFile* side_file, const TensorType& type,
                                const std::string& hash) {
  if (!IsHash(hash)) {
    return InvalidInput("a content hash is 32 lower-case hex digits, found ", Quote(hash));
  }
  if (side_file == nullptr) return Tensor::Unknown(type, hash);
  return side_file->Read(type, hash);
}

}  // namespace kiln
