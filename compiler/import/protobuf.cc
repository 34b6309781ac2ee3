#include "compiler/import/protobuf.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <limits>
#include <vector>

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

}  // namespace kiln
