#include "runtime/train/event_file.h"

#include <gtest/gtest.h>

#include <cstring>
#include <optional>
#include <vector>

#include "runtime/file.h"
#include "runtime/train/run_log.h"
#include "tests/support/temporary_folder.h"

namespace kiln {
namespace {

template <typename T>
T LittleEndian(std::string_view bytes) {
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

// A strict reader of what an event file may hold: every byte is accounted for.
class EventReader {
 public:
  struct Event {
    double wall_time = -1;
    int64_t step = 0;
    std::string version, tag;
    std::optional<float> value;
  };

  // nullopt when anything is not as it must be.
  static std::optional<std::vector<Event>> Read(std::string_view file) {
    std::vector<Event> events;
    while (!file.empty()) {
      if (file.size() < 12) return std::nullopt;
      const auto length = LittleEndian<uint64_t>(file);
      if (!Matches(file.substr(0, 8), file.substr(8, 4))) return std::nullopt;
      file.remove_prefix(12);
      if (file.size() < length + 4) return std::nullopt;
      const std::string_view data = file.substr(0, length);
      if (!Matches(data, file.substr(length, 4))) return std::nullopt;
      file.remove_prefix(length + 4);
      if (!ReadEvent(data, events.emplace_back())) return std::nullopt;
    }
    return events;
  }

 private:
  // By the definition, a bit at a time.
  static uint32_t SlowCrc(std::string_view bytes) {
    uint32_t crc = ~uint32_t{0};
    for (const char c : bytes) {
      crc ^= static_cast<uint8_t>(c);
      for (int i = 0; i < 8; ++i) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
    }
    return ~crc;
  }

  static bool Matches(std::string_view data, std::string_view crc) {
    const uint32_t c = SlowCrc(data);
    return LittleEndian<uint32_t>(crc) == ((c >> 15) | (c << 17)) + 0xa282ead8u;
  }

  static bool ReadVarint(std::string_view& data, uint64_t& value) {
    value = 0;
    for (int shift = 0; shift < 64 && !data.empty(); shift += 7) {
      const auto byte = static_cast<uint8_t>(data[0]);
      data.remove_prefix(1);
      value |= uint64_t{byte & 0x7fu} << shift;
      if ((byte & 0x80) == 0) return true;
    }
    return false;
  }

  static bool Take(std::string_view& data, size_t size, std::string_view& taken) {
    if (data.size() < size) return false;
    taken = data.substr(0, size);
    data.remove_prefix(size);
    return true;
  }

  static bool TakeLengthDelimited(std::string_view& data, std::string_view& taken) {
    uint64_t size;
    return ReadVarint(data, size) && Take(data, size, taken);
  }

  static bool ReadEvent(std::string_view data, Event& event) {
    std::string_view taken;
    while (!data.empty()) {
      uint64_t key, number;
      if (!ReadVarint(data, key)) return false;
      switch (key) {
        case 1 << 3 | 1:
          if (!Take(data, 8, taken)) return false;
          event.wall_time = LittleEndian<double>(taken);
          break;
        case 2 << 3 | 0:
          if (!ReadVarint(data, number)) return false;
          event.step = static_cast<int64_t>(number);
          break;
        case 3 << 3 | 2:
          if (!TakeLengthDelimited(data, taken)) return false;
          event.version = taken;
          break;
        case 5 << 3 | 2:
          if (!TakeLengthDelimited(data, taken) || !ReadSummary(taken, event)) return false;
          break;
        default: return false;
      }
    }
    return event.wall_time >= 0;
  }

  // Summary{value = 1 {tag = 1, simple_value = 2}}, with one value.
  static bool ReadSummary(std::string_view data, Event& event) {
    uint64_t key;
    std::string_view value, taken;
    if (!ReadVarint(data, key) || key != (1 << 3 | 2) || !TakeLengthDelimited(data, value) ||
        !data.empty()) {
      return false;
    }
    if (!ReadVarint(value, key) || key != (1 << 3 | 2) || !TakeLengthDelimited(value, taken)) {
      return false;
    }
    event.tag = taken;
    if (!ReadVarint(value, key) || key != (2 << 3 | 5) || !Take(value, 4, taken)) return false;
    event.value = LittleEndian<float>(taken);
    return value.empty();
  }
};

TEST(Crc32c, KnowsTheVectorsOfRfc3720) {
  EXPECT_EQ(Crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(Crc32c(std::string(32, '\xff')), 0x62a8ab43u);
  EXPECT_EQ(Crc32c(""), 0u);
}

TEST(EventFile, IsReadBack) {
  std::string file = EventFileHeader(1234.5);
  file += ScalarEvent(1235.25, 300, "train/loss", 0.125f);
  file += ScalarEvent(1236, int64_t{1} << 40, "test/accuracy", -1e30f);
  const auto events = EventReader::Read(file);
  ASSERT_TRUE(events);
  ASSERT_EQ(events->size(), 3u);
  EXPECT_EQ((*events)[0].version, "brain.Event:2");
  EXPECT_EQ((*events)[0].wall_time, 1234.5);
  EXPECT_FALSE((*events)[0].value);
  EXPECT_EQ((*events)[1].step, 300);
  EXPECT_EQ((*events)[1].tag, "train/loss");
  EXPECT_EQ((*events)[1].value, 0.125f);
  EXPECT_EQ((*events)[2].step, int64_t{1} << 40);
  EXPECT_EQ((*events)[2].value, -1e30f);
  for (size_t i = 0; i < file.size(); ++i) {
    std::string changed = file;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    EXPECT_FALSE(EventReader::Read(changed)) << i;
  }
}

std::string Contents(const std::string& path) {
  const auto bytes = ReadFile(path, 1 << 20);
  return bytes.ok() ? std::string(bytes->begin(), bytes->end()) : std::string();
}

TEST(RunLog, WritesTheHistoryAndAppendsToIt) {
  const TemporaryFolder folder;
  RunState state;
  state.started = 1700000000;
  RunLog log(folder.path());
  ASSERT_TRUE(log.Rewrite(state).ok());
  for (int64_t step = 1; step <= 3; ++step) {
    HistoryRow row;
    row.step = step;
    row.epoch = 0.5;
    row.loss = 1.0 / static_cast<double>(step);
    if (step == 2) row.test_accuracy = 0.75;
    row.wall_time = 1700000000 + static_cast<double>(step);
    state.history.push_back(row);
    if (step == 3) {  // what stands in the way is written around as soon as it is gone
      std::filesystem::remove(folder / "metrics.csv");
      EXPECT_FALSE(log.Append(state).ok());
    }
    ASSERT_TRUE(log.Append(state).ok());
  }
  EXPECT_EQ(Contents(folder / "metrics.csv"),
            "step,epoch,loss,rate,test_loss,test_accuracy,test_top5,items_per_second,seconds\n"
            "1,0.5,1,,,,,,0\n"
            "2,0.5,0.5,,,0.75,,,0\n"
            "3,0.5,0.333333333,,,,,,0\n");
  const auto events = EventReader::Read(Contents(folder / EventFileName(1700000000)));
  ASSERT_TRUE(events);
  ASSERT_EQ(events->size(), 5u);
  EXPECT_EQ((*events)[3].tag, "test/accuracy");
  EXPECT_EQ((*events)[4].step, 3);
}

}  // namespace
}  // namespace kiln
