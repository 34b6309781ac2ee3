#include "compiler/import/tensorflow/checkpoint.h"

#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "compiler/import/protobuf.h"
#include "compiler/import/tensorflow/tensor.h"
#include "ir/support/file.h"
#include "proto/tensorflow.pb.h"

namespace kiln::tensorflow_import {

namespace {

using tensorflow::BundleEntry;
using Entries = std::map<std::string, std::string>;

constexpr size_t kMaxEntries = 1'000'000;

/// Takes numbers and bytes off the front; a read past the end fails all further ones.
class Reader {
 public:
  explicit Reader(std::span<const char> bytes) : rest_(bytes) {}

  uint64_t Varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<uint8_t>(rest_.front());
      rest_ = rest_.subspan(1);
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    failed_ = true;
    return 0;
  }
  std::span<const char> Bytes(uint64_t count) {
    if (failed_ || count > rest_.size()) {
      failed_ = true;
      return {};
    }
    const auto bytes = rest_.first(count);
    rest_ = rest_.subspan(count);
    return bytes;
  }
  bool failed() const { return failed_; }
  bool done() const { return failed_ || rest_.empty(); }

 private:
  std::span<const char> rest_;
  bool failed_ = false;
};

Status Malformed() { return InvalidInput("the table is malformed or cut short"); }

uint32_t Fixed32(std::span<const char> bytes) {
  uint32_t value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

// A block: entries whose keys share prefixes, then the restart points and their number.
StatusOr<std::span<const char>> FindBlock(std::span<const char> bytes, Reader& handle) {
  constexpr uint64_t kTrailer = 5;  // the kind of compression, a checksum
  const uint64_t offset = handle.Varint(), size = handle.Varint();
  if (handle.failed() || offset > bytes.size() || size > bytes.size() - offset ||
      bytes.size() - offset - size < kTrailer || size < 4) {
    return Malformed();
  }
  if (bytes[offset + size] != 0) return Unsupported("compressed tables are not supported");
  const auto block = bytes.subspan(offset, size);
  const uint64_t restarts = Fixed32(block.last(4));
  if (restarts > (size - 4) / 4) return Malformed();
  return block.first(size - 4 - 4 * restarts);
}

Status ReadBlock(std::span<const char> block,
                 std::vector<std::pair<std::string, std::string>>* to) {
  Reader reader(block);
  std::string key;
  while (!reader.done()) {
    const uint64_t shared = reader.Varint(), own = reader.Varint(), size = reader.Varint();
    const auto suffix = reader.Bytes(own), value = reader.Bytes(size);
    if (reader.failed() || shared > key.size() || to->size() >= kMaxEntries) return Malformed();
    key.resize(shared);
    key.append(suffix.data(), suffix.size());
    to->emplace_back(key, std::string(value.data(), value.size()));
  }
  return reader.failed() ? Malformed() : OkStatus();
}

template <typename Message>
StatusOr<Message> Parse(const std::string& bytes) {
  Message message;
  KILN_RETURN_IF_ERROR(ParseProtobuf(bytes, &message));
  return message;
}

/// The shards of a checkpoint, mapped when they are first read.
class Shards {
 public:
  Shards(std::string prefix, int count) : prefix_(std::move(prefix)), count_(count) {}

  StatusOr<std::span<const char>> Find(const BundleEntry& entry,
                                       std::shared_ptr<const MappedFile>* owner) {
    if (entry.shard_id() < 0 || entry.shard_id() >= count_) {
      return InvalidInput("shard ", entry.shard_id(), " of ", count_, " does not exist");
    }
    auto& file = files_[entry.shard_id()];
    if (file == nullptr) {
      char suffix[40];
      std::snprintf(suffix, sizeof suffix, ".data-%05d-of-%05d", entry.shard_id(), count_);
      KILN_ASSIGN_OR_RETURN(file, MappedFile::Open(prefix_ + suffix));
    }
    *owner = file;
    const auto size = static_cast<int64_t>(file->bytes().size());
    if (entry.offset() < 0 || entry.size() < 0 || entry.offset() > size ||
        entry.size() > size - entry.offset()) {
      return InvalidInput("an entry lies outside of its shard");
    }
    return file->bytes().subspan(static_cast<size_t>(entry.offset()),
                                 static_cast<size_t>(entry.size()));
  }

 private:
  std::string prefix_;
  int count_;
  std::map<int, std::shared_ptr<const MappedFile>> files_;
};

StatusOr<Tensor> ReadTensor(const BundleEntry& entry, Shards& shards) {
  KILN_ASSIGN_OR_RETURN(const ElementType element, ToElementType(entry.dtype()));
  const std::optional<Shape> shape = ToShape(entry.shape());
  if (!shape) return InvalidInput("an entry has no shape");
  KILN_ASSIGN_OR_RETURN(const int64_t size, CheckedByteSize(element, *shape));
  if (size != entry.size()) {
    return InvalidInput("an entry of ", size, " bytes has ", entry.size());
  }
  std::shared_ptr<const MappedFile> owner;
  KILN_ASSIGN_OR_RETURN(const auto bytes, shards.Find(entry, &owner));
  const TensorType type{element, *shape, {}};
  constexpr uintptr_t kAlignment = 8;
  if (reinterpret_cast<uintptr_t>(bytes.data()) % kAlignment == 0)
    return Tensor(type, owner, bytes);
  return Tensor(type, std::vector<char>(bytes.begin(), bytes.end()));
}

// Names of variables, by the key that a TF2 checkpoint keeps them under: the one string of the
// entry is its length, a checksum, and the graph of objects.
StatusOr<std::map<std::string, std::string>> VariableNames(const BundleEntry& entry,
                                                           Shards& shards) {
  std::shared_ptr<const MappedFile> owner;
  KILN_ASSIGN_OR_RETURN(const auto bytes, shards.Find(entry, &owner));
  Reader reader(bytes);
  const uint64_t length = reader.Varint();
  reader.Bytes(4);
  const auto text = reader.Bytes(length);
  if (reader.failed()) return Malformed();
  tensorflow::TrackableObjectGraph graph;
  KILN_RETURN_IF_ERROR(ParseProtobuf(text, &graph));
  std::map<std::string, std::string> names;
  for (const auto& node : graph.nodes()) {
    for (const auto& attribute : node.attributes()) {
      if (!attribute.full_name().empty()) {
        names[attribute.checkpoint_key()] = attribute.full_name();
      }
    }
  }
  return names;
}

StatusOr<std::map<std::string, Tensor>> ReadEntries(const Entries& entries,
                                                    const std::string& prefix) {
  constexpr const char* kObjectGraph = "_CHECKPOINTABLE_OBJECT_GRAPH";
  const auto header_bytes = entries.find("");
  if (header_bytes == entries.end()) return InvalidInput("the checkpoint has no header");
  KILN_ASSIGN_OR_RETURN(const auto header, Parse<tensorflow::BundleHeader>(header_bytes->second));
  if (header.endianness() != 0) return Unsupported("big-endian checkpoints are not supported");
  Shards shards(prefix, header.num_shards());
  std::map<std::string, std::string> names;
  if (const auto it = entries.find(kObjectGraph); it != entries.end()) {
    KILN_ASSIGN_OR_RETURN(const auto entry, Parse<BundleEntry>(it->second));
    KILN_ASSIGN_OR_RETURN(names, VariableNames(entry, shards));
  }
  std::map<std::string, Tensor> tensors;
  for (const auto& [key, bytes] : entries) {
    if (key.empty() || key == kObjectGraph) continue;
    KILN_ASSIGN_OR_RETURN(const auto entry, Parse<BundleEntry>(bytes));
    if (!ToElementType(entry.dtype()).ok()) continue;
    auto tensor = ReadTensor(entry, shards);
    if (!tensor.ok()) return Annotate(tensor.status(), key);
    const auto name = names.find(key);
    tensors.emplace(name == names.end() ? key : name->second, *std::move(tensor));
  }
  return tensors;
}

}  // namespace

StatusOr<Entries> ReadSortedTable(std::span<const char> bytes) {
  constexpr size_t kFooter = 48;
  constexpr uint64_t kMagic = 0xdb4775248b80fb57;
  uint64_t magic = 0;
  if (bytes.size() >= kFooter) std::memcpy(&magic, bytes.data() + bytes.size() - 8, sizeof magic);
  if (magic != kMagic) return InvalidInput("is no checkpoint index");
  Reader footer(bytes.last(kFooter).first(kFooter - 8));
  footer.Varint();  // where the block about the blocks lies
  footer.Varint();
  KILN_ASSIGN_OR_RETURN(const auto index, FindBlock(bytes, footer));
  std::vector<std::pair<std::string, std::string>> blocks, rows;
  KILN_RETURN_IF_ERROR(ReadBlock(index, &blocks));
  for (const auto& [last_key, handle] : blocks) {
    Reader reader({handle.data(), handle.size()});
    KILN_ASSIGN_OR_RETURN(const auto block, FindBlock(bytes, reader));
    KILN_RETURN_IF_ERROR(ReadBlock(block, &rows));
  }
  return Entries(rows.begin(), rows.end());
}

StatusOr<std::map<std::string, Tensor>> ReadCheckpoint(const std::string& prefix) {
  const std::string path = prefix + ".index";
  KILN_ASSIGN_OR_RETURN(const auto file, MappedFile::Open(path));
  const auto entries = ReadSortedTable(file->bytes());
  if (!entries.ok()) return Annotate(entries.status(), path);
  auto tensors = ReadEntries(*entries, prefix);
  if (!tensors.ok()) return Annotate(tensors.status(), path);
  return tensors;
}

}  // namespace kiln::tensorflow_import
