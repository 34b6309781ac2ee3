// Parsing of untrusted protobuf files.
#pragma once

#include <google/protobuf/message.h>

#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "ir/support/status.h"

namespace kiln {

/// What a file may make the parser build. An empty submessage takes two bytes in a file and
/// hundreds in memory, so the number of them is bounded before anything is built.
struct WireLimits {
  int64_t messages = 4'000'000;  ///< submessages and strings, at all levels
  int depth = 100;               ///< of nested messages
};

/// Parses `bytes` (at most 2 GiB, protobuf's own limit) into `message`.
Status ParseProtobuf(std::span<const char> bytes, google::protobuf::Message* message,
                     const WireLimits& limits = {});

/// The same for protobuf's text form. Fields that the schema does not have are passed over and
/// named in `unknown`, "line 7: message T has no field 'f'".
Status ParseProtobufText(std::span<const char> bytes, google::protobuf::Message* message,
                         std::vector<std::string>* unknown, const WireLimits& limits = {});

/// The names of the fields at the top of a text message, as far as `bytes` look like one: for
/// telling formats apart. At most 64.
std::set<std::string> TopFieldsOfText(std::span<const char> bytes);

/// Whether the front of `bytes` reads as a message of this type, all its fields known, of the right
/// wire types, strings being text: for telling formats apart.
bool LooksLike(const google::protobuf::Descriptor* type, std::span<const char> bytes);

/// The head of one field on the wire.
struct WireField {
  int number;
  int wire_type;                  ///< 0 varint, 1 fixed64, 2 length-delimited, 5 fixed32
  std::span<const char> payload;  ///< of a length-delimited field
};

/// Takes the next field off the front of `bytes`; false when they are malformed or cut short.
bool NextWireField(std::span<const char>* bytes, WireField* field);

}  // namespace kiln
