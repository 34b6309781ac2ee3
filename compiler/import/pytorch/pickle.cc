#include "compiler/import/pytorch/pickle.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <memory>
#include <optional>
#include <utility>

#include "compiler/import/foreign/problems.h"
#include "compiler/import/pytorch/tensor_meta.h"
#include "runtime/zip_archive.h"

namespace kiln::pytorch_import {

namespace {

using foreign::Printable;

constexpr uint64_t kMaxPickleBytes = 64 << 20;
constexpr size_t kMaxValues = 2'000'000;  // a tensor takes about 30

/// What a pickle describes. Items point into the reader's store, so that a list that holds itself
/// is no leak.
struct Value {
  enum class Kind { kMark, kNone, kNumber, kText, kGlobal, kTuple, kDictionary, kStorage, kTensor };
  Kind kind = Kind::kNone;
  int64_t number = 0;               // of kNumber, and truth values
  std::string text;                 // of kText; "module name" of kGlobal
  std::vector<const Value*> items;  // of kTuple; keys and values in turn of kDictionary
  PickledTensor tensor;             // of kTensor; `storage` and `element` of kStorage
};

std::optional<ElementType> StorageElement(const std::string& global) {
  static constexpr std::pair<std::string_view, ElementType> kStorages[] = {
      {"torch FloatStorage", ElementType::kF32}, {"torch DoubleStorage", ElementType::kF64},
      {"torch HalfStorage", ElementType::kF16},  {"torch BFloat16Storage", ElementType::kBF16},
      {"torch ByteStorage", ElementType::kU8},   {"torch CharStorage", ElementType::kI8},
      {"torch ShortStorage", ElementType::kI16}, {"torch IntStorage", ElementType::kI32},
      {"torch LongStorage", ElementType::kI64},  {"torch BoolStorage", ElementType::kBool},
  };
  for (const auto& [name, element] : kStorages) {
    if (global == name) return element;
  }
  return std::nullopt;
}

class PickleReader {
 public:
  explicit PickleReader(std::span<const char> bytes) : bytes_(bytes) {}

  /// The value that the pickle leaves.
  StatusOr<const Value*> Read() {
    for (;;) {
      const auto code = Take<uint8_t>();
      if (failed_) return CutShort();
      if (store_.size() > kMaxValues) return InvalidInput("the pickle holds too many values");
      if (code == '.') return Pop();
      KILN_RETURN_IF_ERROR(Step(code));
      if (failed_) return CutShort();
    }
  }

 private:
  static Status CutShort() { return InvalidInput("the pickle is cut short"); }
  static Status Malformed() { return InvalidInput("the pickle is malformed"); }

  template <typename T>
  T Take() {
    T value{};
    if (bytes_.size() - at_ < sizeof value) {
      failed_ = true;
      return value;
    }
    std::memcpy(&value, bytes_.data() + at_, sizeof value);
    at_ += sizeof value;
    return value;
  }

  std::string TakeText(uint64_t size) {
    if (failed_ || bytes_.size() - at_ < size) {
      failed_ = true;
      return "";
    }
    at_ += size;
    return {bytes_.data() + at_ - size, static_cast<size_t>(size)};
  }

  std::string TakeLine() {
    const auto rest = bytes_.subspan(at_);
    const auto end = std::find(rest.begin(), rest.end(), '\n');
    if (end == rest.end()) failed_ = true;
    std::string line = TakeText(static_cast<uint64_t>(end - rest.begin()));
    if (!failed_) ++at_;
    return line;
  }

  Value* Make(Value::Kind kind) {
    store_.emplace_back();
    store_.back().kind = kind;
    return &store_.back();
  }
  void Push(Value* value) { stack_.push_back(value); }
  void PushNumber(int64_t number) {
    Push(Make(Value::Kind::kNumber));
    stack_.back()->number = number;
  }
  void PushText(Value::Kind kind, std::string text) {
    Push(Make(kind));
    stack_.back()->text = std::move(text);
  }

  StatusOr<Value*> Pop() {
    if (stack_.empty() || stack_.back()->kind == Value::Kind::kMark) return Malformed();
    Value* const value = stack_.back();
    stack_.pop_back();
    return value;
  }

  /// What was pushed since the last mark, which goes too.
  StatusOr<std::vector<const Value*>> PopToMark() {
    size_t first = stack_.size();
    while (first > 0 && stack_[first - 1]->kind != Value::Kind::kMark) --first;
    if (first == 0) return Malformed();
    std::vector<const Value*> items(stack_.begin() + static_cast<int64_t>(first), stack_.end());
    stack_.resize(first - 1);
    return items;
  }

  Status PushTuple(size_t size) {
    if (stack_.size() < size) return Malformed();
    const auto first = stack_.end() - static_cast<int64_t>(size);
    Value* const tuple = Make(Value::Kind::kTuple);
    tuple->items.assign(first, stack_.end());
    stack_.erase(first, stack_.end());
    Push(tuple);
    return OkStatus();
  }

  Status Remember(uint64_t slot) {
    if (stack_.empty()) return Malformed();
    memo_[slot] = stack_.back();
    return OkStatus();
  }

  Status Recall(uint64_t slot) {
    const auto it = memo_.find(slot);
    if (it == memo_.end()) return Malformed();
    Push(it->second);
    return OkStatus();
  }

  Status SetItems(std::vector<const Value*> items) {
    if (stack_.empty() || stack_.back()->kind != Value::Kind::kDictionary ||
        items.size() % 2 != 0) {
      return Malformed();
    }
    std::vector<const Value*>& all = stack_.back()->items;
    all.insert(all.end(), items.begin(), items.end());
    return OkStatus();
  }

  // One instruction, by its code in pickletools.py.
  Status Step(uint8_t code) {
    switch (code) {
      case 0x80:
        return Take<uint8_t>() == 2 ? OkStatus() : Unsupported("is pickled in no known way");
      case '(': Push(Make(Value::Kind::kMark)); return OkStatus();
      case 'N': Push(Make(Value::Kind::kNone)); return OkStatus();
      case 0x88: PushNumber(1); return OkStatus();
      case 0x89: PushNumber(0); return OkStatus();
      case 'K': PushNumber(Take<uint8_t>()); return OkStatus();
      case 'M': PushNumber(Take<uint16_t>()); return OkStatus();
      case 'J': PushNumber(Take<int32_t>()); return OkStatus();
      case 0x8a: return PushLong();
      case 'X': PushText(Value::Kind::kText, TakeText(Take<uint32_t>())); return OkStatus();
      case 'c': {
        const std::string module = TakeLine();
        PushText(Value::Kind::kGlobal, StrCat(module, " ", TakeLine()));
        return OkStatus();
      }
      case '}': Push(Make(Value::Kind::kDictionary)); return OkStatus();
      case ')': return PushTuple(0);
      case 0x85: return PushTuple(1);
      case 0x86: return PushTuple(2);
      case 0x87: return PushTuple(3);
      case 't': {
        KILN_ASSIGN_OR_RETURN(std::vector<const Value*> items, PopToMark());
        Push(Make(Value::Kind::kTuple));
        stack_.back()->items = std::move(items);
        return OkStatus();
      }
      case 'q': return Remember(Take<uint8_t>());
      case 'r': return Remember(Take<uint32_t>());
      case 'h': return Recall(Take<uint8_t>());
      case 'j': return Recall(Take<uint32_t>());
      case 'Q': return Persistent();
      case 'R': return Reduce();
      case 's': {
        KILN_ASSIGN_OR_RETURN(const Value* const value, Pop());
        KILN_ASSIGN_OR_RETURN(const Value* const key, Pop());
        return SetItems({key, value});
      }
      case 'u': {
        KILN_ASSIGN_OR_RETURN(std::vector<const Value*> items, PopToMark());
        return SetItems(std::move(items));
      }
      case 'b': return Pop().status();  // what hangs at an OrderedDict: versions of modules
      default:
        return Unsupported("is pickled with instruction ", static_cast<int64_t>(code),
                           ", which no dictionary of tensors has");
    }
  }

  // A little-endian integer of as many bytes as the first byte says.
  Status PushLong() {
    const auto size = Take<uint8_t>();
    const std::string bytes = TakeText(size);
    if (failed_ || size > sizeof(int64_t)) return Malformed();
    int64_t number = size > 0 && static_cast<signed char>(bytes.back()) < 0 ? -1 : 0;
    std::memcpy(&number, bytes.data(), size);
    PushNumber(number);
    return OkStatus();
  }

  // ('storage', type, key, device, elements).
  Status Persistent() {
    KILN_ASSIGN_OR_RETURN(const Value* const id, Pop());
    if (id->kind != Value::Kind::kTuple || id->items.size() != 5 ||
        id->items[0]->text != "storage" || id->items[2]->kind != Value::Kind::kText) {
      return Malformed();
    }
    const std::optional<ElementType> element = StorageElement(id->items[1]->text);
    if (!element) {
      return Unsupported("has storages of ", Printable(id->items[1]->text),
                         ", which are not supported");
    }
    Value* const storage = Make(Value::Kind::kStorage);
    storage->tensor.storage = id->items[2]->text;
    storage->tensor.element = *element;
    Push(storage);
    return OkStatus();
  }

  static StatusOr<std::vector<int64_t>> Numbers(const Value& tuple) {
    if (tuple.kind != Value::Kind::kTuple || tuple.items.size() > kMaxRank) return Malformed();
    std::vector<int64_t> numbers;
    for (const Value* const item : tuple.items) {
      if (item->kind != Value::Kind::kNumber) return Malformed();
      numbers.push_back(item->number);
    }
    return numbers;
  }

  // The call of a function, of which four are understood.
  Status Reduce() {
    KILN_ASSIGN_OR_RETURN(const Value* const arguments, Pop());
    KILN_ASSIGN_OR_RETURN(const Value* const function, Pop());
    if (arguments->kind != Value::Kind::kTuple || function->kind != Value::Kind::kGlobal) {
      return Malformed();
    }
    const std::vector<const Value*>& given = arguments->items;
    const std::string& name = function->text;
    if (name == "collections OrderedDict" && given.empty()) {
      Push(Make(Value::Kind::kDictionary));
      return OkStatus();
    }
    // (tensor, requires_grad, hooks), and what else hangs at the parameter
    if ((name == "torch._utils _rebuild_parameter" ||
         name == "torch._utils _rebuild_parameter_with_state") &&
        given.size() >= 3 && given[0]->kind == Value::Kind::kTensor) {
      Push(Make(Value::Kind::kTensor));
      stack_.back()->tensor = given[0]->tensor;
      return OkStatus();
    }
    // (storage, offset, sizes, strides, requires_grad, hooks)
    if (name == "torch._utils _rebuild_tensor_v2" && given.size() >= 6 &&
        given[0]->kind == Value::Kind::kStorage && given[1]->kind == Value::Kind::kNumber) {
      PickledTensor tensor = given[0]->tensor;
      tensor.offset = given[1]->number;
      KILN_ASSIGN_OR_RETURN(tensor.sizes, Numbers(*given[2]));
      KILN_ASSIGN_OR_RETURN(tensor.strides, Numbers(*given[3]));
      Push(Make(Value::Kind::kTensor));
      stack_.back()->tensor = std::move(tensor);
      return OkStatus();
    }
    return Unsupported("holds ", Printable(name), ", which is not supported");
  }

  std::span<const char> bytes_;
  size_t at_ = 0;
  bool failed_ = false;
  std::deque<Value> store_;
  std::vector<Value*> stack_;
  std::map<uint64_t, Value*> memo_;
};

}  // namespace

StatusOr<std::map<std::string, PickledTensor>> ReadPickle(std::span<const char> bytes) {
  PickleReader reader(bytes);
  KILN_ASSIGN_OR_RETURN(const Value* const value, reader.Read());
  if (value->kind != Value::Kind::kDictionary) return Unsupported("is no dictionary of tensors");
  std::map<std::string, PickledTensor> tensors;
  for (size_t i = 0; i < value->items.size(); i += 2) {
    const Value& key = *value->items[i];
    const Value& tensor = *value->items[i + 1];
    if (key.kind != Value::Kind::kText) return Unsupported("is no dictionary of tensors");
    if (tensor.kind != Value::Kind::kTensor) {
      return Unsupported("'", Printable(key.text), "' is no tensor");
    }
    tensors[key.text] = tensor.tensor;
  }
  return tensors;
}

StatusOr<std::map<std::string, Tensor>> ReadSavedTensors(std::span<const char> bytes) {
  KILN_ASSIGN_OR_RETURN(const ZipArchive zip, ZipArchive::Open(bytes));
  std::string folder;
  for (const std::string& name : zip.Names()) {
    if (name.ends_with("/data.pkl")) folder = name.substr(0, name.size() - 8);
  }
  KILN_ASSIGN_OR_RETURN(
      const std::vector<char> pickle,
      zip.Read(folder + "data.pkl", std::min<uint64_t>(kMaxPickleBytes, bytes.size())));
  KILN_ASSIGN_OR_RETURN(const auto described, ReadPickle(pickle));
  if (zip.Has(folder + "byteorder")) {
    KILN_ASSIGN_OR_RETURN(const std::vector<char> order, zip.Read(folder + "byteorder", 16));
    if (std::string_view(order.data(), order.size()) != "little") {
      return Unsupported("was written by a big-endian machine");
    }
  }
  // No archive of torch.save is compressed, so its storages are no more than itself.
  uint64_t left = bytes.size();
  StorageReader reader(bytes.size());
  std::map<std::string, Storage> storages;
  std::map<std::string, Tensor> tensors;
  for (const auto& [name, tensor] : described) {
    if (!storages.contains(tensor.storage)) {
      KILN_ASSIGN_OR_RETURN(std::vector<char> data,
                            zip.Read(StrCat(folder, "data/", tensor.storage), left));
      left -= data.size();
      auto owner = std::make_shared<std::vector<char>>(std::move(data));
      storages[tensor.storage] = {owner, *owner};
    }
    auto read = reader.Read(storages[tensor.storage], tensor.element, tensor.sizes, tensor.strides,
                            tensor.offset);
    if (!read.ok()) return Annotate(read.status(), Printable(name));
    tensors[name] = *std::move(read);
  }
  return tensors;
}

}  // namespace kiln::pytorch_import
