// One element of a dense tensor as text, exact for every bit pattern: `true`, `-3`, `0.1`, `nan`,
// `-inf`; what has no such spelling (a NaN with a payload, a bool that is neither 0 nor 1) is its
// bits in hex, `0x7fc00001`.
#pragma once

#include <string>
#include <string_view>

#include "ir/graph/type.h"

namespace kiln {

/// The shortest text that ParseElement reads back to the same bytes.
std::string FormatElement(ElementType type, const char* address);

/// Writes the element that `text` spells to `address` (ByteSize(type) bytes). False when it spells
/// none or the value is out of the type's range.
bool ParseElement(ElementType type, std::string_view text, char* address);

}  // namespace kiln
