// TensorBoard's event files: scalars by tag and step, in records that protect themselves.
//
// A record is: length (u64), masked CRC-32C of those 8 bytes (u32), data, masked CRC-32C of the
// data (u32), little-endian, with mask(c) = rotate_right(c, 15) + 0xa282ead8. Data is a
// tensorflow.Event (tensorflow/core/util/event.proto), of which only a few fields are ever used
// here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace kiln {

/// CRC-32C (Castagnoli, reflected polynomial 0x82f63b78).
uint32_t Crc32c(std::string_view bytes);

/// The first record of a file: Event{wall_time = 1, file_version = 3: "brain.Event:2"}.
std::string EventFileHeader(double wall_time);

/// Event{wall_time = 1, step = 2, summary = 5 {value = 1 {tag = 1, simple_value = 2}}}.
std::string ScalarEvent(double wall_time, int64_t step, std::string_view tag, float value);

/// "events.out.tfevents.SECONDS.HOST", by which TensorBoard knows the file.
std::string EventFileName(double wall_time);

}  // namespace kiln
