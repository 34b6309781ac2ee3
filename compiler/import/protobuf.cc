#include "compiler/import/protobuf.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/text_format.h>
#include <google/protobuf/wire_format_lite.h>

#include <algorithm>
#include <cctype>
#include <limits>

namespace kiln {

namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

bool TakeVarint(std::span<const char>* bytes, uint64_t* value) {
  *value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (bytes->empty()) return false;
    const auto byte = static_cast<uint8_t>(bytes->front());
    *bytes = bytes->subspan(1);
    *value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

bool Skip(std::span<const char>* bytes, size_t count) {
  if (count > bytes->size()) return false;
  *bytes = bytes->subspan(count);
  return true;
}

struct Level {
  const Descriptor* type;
  std::span<const char> rest;
};

Status CheckWire(const Descriptor* type, std::span<const char> bytes, const WireLimits& limits) {
  std::vector<Level> stack = {{type, bytes}};
  int64_t messages = 0;
  while (!stack.empty()) {
    Level& level = stack.back();
    if (level.rest.empty()) {
      stack.pop_back();
      continue;
    }
    WireField field;
    if (!NextWireField(&level.rest, &field)) {
      return InvalidInput("the file is malformed or cut short (in a ", level.type->name(), ")");
    }
    if (field.wire_type != 2) continue;
    const FieldDescriptor* const known = level.type->FindFieldByNumber(field.number);
    if (known != nullptr && known->is_packable()) continue;
    if (++messages > limits.messages) {
      return InvalidInput("the file holds more than ", limits.messages, " parts");
    }
    if (known == nullptr || known->type() != FieldDescriptor::TYPE_MESSAGE) continue;
    if (static_cast<int>(stack.size()) >= limits.depth) {
      return InvalidInput("messages are nested more than ", limits.depth, " deep");
    }
    stack.push_back({known->message_type(), field.payload});
  }
  return OkStatus();
}

/// Walks over text outside of strings and comments.
class TextScanner {
 public:
  explicit TextScanner(std::span<const char> bytes) : text_(bytes.data(), bytes.size()) {}

  /// The next character that counts, blanks included; '\0' at the end and for a whole string.
  char Next() {
    if (at_ >= text_.size()) return '\0';
    const char c = text_[at_];
    if (c == '#') {
      at_ = std::min(text_.find('\n', at_), text_.size());
      return ' ';
    }
    if (c != '"' && c != '\'') return text_[at_++];
    for (++at_; at_ < text_.size() && text_[at_] != c && text_[at_] != '\n'; ++at_) {
      if (text_[at_] == '\\') ++at_;
    }
    ++at_;
    return '\0';
  }
  bool done() const { return at_ >= text_.size(); }

 private:
  std::string_view text_;
  size_t at_ = 0;
};

// The text parser builds before it checks, so depth and number of messages are bounded here.
Status CheckText(std::span<const char> bytes, const WireLimits& limits) {
  constexpr int64_t kMaxTextMessages = 500'000;
  int64_t messages = 0;
  int depth = 0;
  for (TextScanner scanner(bytes); !scanner.done();) {
    const char c = scanner.Next();
    if (c == '}' || c == '>') --depth;
    if (c != '{' && c != '<') continue;
    if (++messages > kMaxTextMessages) {
      return InvalidInput("the file holds more than ", kMaxTextMessages, " parts");
    }
    if (++depth >= limits.depth) {
      return InvalidInput("messages are nested more than ", limits.depth, " deep");
    }
  }
  return OkStatus();
}

/// Keeps the first error, and what the parser says of unknown fields.
class TextErrors : public google::protobuf::io::ErrorCollector {
 public:
  explicit TextErrors(std::vector<std::string>* unknown) : unknown_(unknown) {}

  void AddError(int line, int column, const std::string& message) override {
    if (error_.empty()) error_ = StrCat("line ", line + 1, ":", column + 1, ": ", message);
  }
  // `Message type "P.T" has no field named "f".`; other warnings are no matter.
  void AddWarning(int line, int, const std::string& message) override {
    const std::vector<std::string> quoted = StrSplit(message, '"');
    if (quoted.size() != 5 || message.find("no field") == std::string::npos) return;
    unknown_->push_back(StrCat("line ", line + 1, ": message ",
                               quoted[1].substr(quoted[1].rfind('.') + 1), " has no field '",
                               quoted[3], "'"));
  }
  const std::string& error() const { return error_; }

 private:
  std::vector<std::string>* unknown_;
  std::string error_;
};

bool IsText(std::span<const char> bytes) {
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r') return false;
  }
  return true;
}

int ExpectedWireType(const FieldDescriptor& field) {
  using google::protobuf::internal::WireFormatLite;
  return WireFormatLite::WireTypeForFieldType(static_cast<WireFormatLite::FieldType>(field.type()));
}

}  // namespace

bool NextWireField(std::span<const char>* bytes, WireField* field) {
  uint64_t tag;
  if (!TakeVarint(bytes, &tag) || tag > std::numeric_limits<uint32_t>::max()) return false;
  field->number = static_cast<int>(tag >> 3);
  field->wire_type = static_cast<int>(tag & 7);
  field->payload = {};
  if (field->number == 0) return false;
  uint64_t value;
  switch (field->wire_type) {
    case 0: return TakeVarint(bytes, &value);
    case 1: return Skip(bytes, 8);
    case 2:
      if (!TakeVarint(bytes, &value) || value > bytes->size()) return false;
      field->payload = bytes->first(value);
      return Skip(bytes, value);
    case 5: return Skip(bytes, 4);
    default: return false;  // groups are long deprecated; no format that we read has them
  }
}

Status ParseProtobuf(std::span<const char> bytes, google::protobuf::Message* message,
                     const WireLimits& limits) {
  if (bytes.size() > static_cast<size_t>(std::numeric_limits<int32_t>::max())) {
    return InvalidInput("the file is over 2 GiB, the limit of its format");
  }
  KILN_RETURN_IF_ERROR(CheckWire(message->GetDescriptor(), bytes, limits));
  google::protobuf::io::CodedInputStream stream(reinterpret_cast<const uint8_t*>(bytes.data()),
                                                static_cast<int>(bytes.size()));
  stream.SetRecursionLimit(limits.depth + 1);
  if (!message->ParseFromCodedStream(&stream) || !stream.ConsumedEntireMessage()) {
    return InvalidInput("the file is malformed");
  }
  return OkStatus();
}

Status ParseProtobufText(std::span<const char> bytes, google::protobuf::Message* message,
                         std::vector<std::string>* unknown, const WireLimits& limits) {
  if (bytes.size() > static_cast<size_t>(std::numeric_limits<int32_t>::max())) {
    return InvalidInput("the file is over 2 GiB, the limit of its format");
  }
  KILN_RETURN_IF_ERROR(CheckText(bytes, limits));
  google::protobuf::TextFormat::Parser parser;
  TextErrors errors(unknown);
  parser.RecordErrorsTo(&errors);
  parser.AllowUnknownField(true);
  parser.SetRecursionLimit(limits.depth);
  google::protobuf::io::ArrayInputStream stream(bytes.data(), static_cast<int>(bytes.size()));
  if (parser.Parse(&stream, message)) return OkStatus();
  return InvalidInput(errors.error().empty() ? "the file is malformed" : errors.error());
}

std::set<std::string> TopFieldsOfText(std::span<const char> bytes) {
  constexpr size_t kMaxBytes = 1 << 20;
  constexpr size_t kMaxNames = 64;
  std::set<std::string> names;
  std::string word;
  bool in_word = false;
  int depth = 0;
  TextScanner scanner(bytes.first(std::min(bytes.size(), kMaxBytes)));
  while (!scanner.done() && names.size() < kMaxNames) {
    const char c = scanner.Next();
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x80 || (byte < 0x20 && c != '\0' && std::isspace(byte) == 0)) break;
    if (std::isalnum(byte) != 0 || c == '_') {
      if (!in_word) word.clear();
      in_word = true;
      word += c;
      continue;
    }
    in_word = false;
    if (depth == 0 && !word.empty() && (c == ':' || c == '{')) names.insert(word);
    if (c == '{' || c == ':' || c == '\0') word.clear();
    if (c == '{') ++depth;
    if (c == '}') --depth;
  }
  return names;
}

bool LooksLike(const Descriptor* type, std::span<const char> bytes) {
  constexpr int kMaxFields = 1000;
  std::vector<Level> stack = {{type, bytes}};
  int fields = 0;
  while (!stack.empty() && fields < kMaxFields) {
    Level& level = stack.back();
    if (level.rest.empty()) {
      stack.pop_back();
      continue;
    }
    WireField field;
    // A file that is cut short still looks like what it is; what is whole in it must be right.
    if (!NextWireField(&level.rest, &field)) return stack.size() == 1 && fields > 0;
    const FieldDescriptor* const known = level.type->FindFieldByNumber(field.number);
    if (known == nullptr) return false;
    const bool packed = field.wire_type == 2 && known->is_packable();
    if (!packed && field.wire_type != ExpectedWireType(*known)) return false;
    ++fields;
    if (known->type() == FieldDescriptor::TYPE_STRING && !IsText(field.payload)) return false;
    if (known->type() != FieldDescriptor::TYPE_MESSAGE) continue;
    stack.push_back({known->message_type(), field.payload});
  }
  return fields > 0;
}

}  // namespace kiln
