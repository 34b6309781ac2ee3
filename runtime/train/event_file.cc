#include "runtime/train/event_file.h"

#include <unistd.h>

#include <array>
#include <cstring>

namespace kiln {

namespace {

constexpr std::array<uint32_t, 256> MakeTable() {
  std::array<uint32_t, 256> table = {};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t c = i;
    for (int bit = 0; bit < 8; ++bit) c = c & 1 ? c >> 1 ^ 0x82f63b78 : c >> 1;
    table[i] = c;
  }
  return table;
}

template <typename T>
std::string LittleEndian(T value) {
  std::string bytes;
  for (size_t i = 0; i < sizeof(T); ++i) bytes += static_cast<char>(value >> (8 * i));
  return bytes;
}

std::string MaskedCrc(std::string_view bytes) {
  const uint32_t crc = Crc32c(bytes);
  return LittleEndian<uint32_t>((crc >> 15 | crc << 17) + 0xa282ead8);
}

std::string Record(const std::string& data) {
  const std::string length = LittleEndian<uint64_t>(data.size());
  return length + MaskedCrc(length) + data + MaskedCrc(data);
}

// Protocol buffers on the wire: a field is a key, its number and type, and its value.
enum WireType : uint64_t { kVarint = 0, kFixed64 = 1, kLengthDelimited = 2, kFixed32 = 5 };

std::string Varint(uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
  return bytes + static_cast<char>(value);
}

std::string Key(uint64_t field, WireType type) { return Varint(field << 3 | type); }

std::string Bytes(uint64_t field, std::string_view value) {
  return Key(field, kLengthDelimited) + Varint(value.size()) + std::string(value);
}

std::string Double(uint64_t field, double value) {
  uint64_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return Key(field, kFixed64) + LittleEndian(bits);
}

std::string Float(uint64_t field, float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return Key(field, kFixed32) + LittleEndian(bits);
}

}  // namespace

uint32_t Crc32c(std::string_view bytes) {
  static constexpr std::array<uint32_t, 256> kTable = MakeTable();
  uint32_t crc = 0xffffffff;
  for (const char c : bytes) crc = kTable[(crc ^ static_cast<uint8_t>(c)) & 0xff] ^ crc >> 8;
  return ~crc;
}

std::string EventFileHeader(double wall_time) {
  return Record(Double(1, wall_time) + Bytes(3, "brain.Event:2"));
}

std::string ScalarEvent(double wall_time, int64_t step, std::string_view tag, float value) {
  const std::string summary = Bytes(1, Bytes(1, tag) + Float(2, value));
  return Record(Double(1, wall_time) + Key(2, kVarint) + Varint(static_cast<uint64_t>(step)) +
                Bytes(5, summary));
}

std::string EventFileName(double wall_time) {
  char host[256] = "host";
  if (gethostname(host, sizeof host - 1) != 0) std::strcpy(host, "host");
  return "events.out.tfevents." + std::to_string(static_cast<int64_t>(wall_time)) + "." + host;
}

}  // namespace kiln
