// Parsing of untrusted protobuf files.
#pragma once

#include <google/protobuf/message.h>

#include <cstdint>
#include <span>

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

/// The head of one field on the wire.
struct WireField {
  int number;
  int wire_type;                  ///< 0 varint, 1 fixed64, 2 length-delimited, 5 fixed32
  std::span<const char> payload;  ///< of a length-delimited field
};

/// Takes the next field off the front of `bytes`; false when they are malformed or cut short.
bool NextWireField(std::span<const char>* bytes, WireField* field);

}  // namespace kiln
