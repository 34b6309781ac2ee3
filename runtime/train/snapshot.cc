#include "runtime/train/snapshot.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "runtime/file.h"
#include "runtime/session.h"

namespace kiln {

namespace {

using Json = nlohmann::json;
using Bytes = std::span<const char>;

constexpr char kMagic[] = "KILNSNAP";
constexpr size_t kMagicBytes = 8;
constexpr size_t kNumberBytes = 8;
constexpr uint64_t kMaxFileBytes = uint64_t{1} << 40;
constexpr char kPrefix[] = "step-", kSuffix[] = ".snapshot";

// ---- the state as JSON; NaN, which JSON has not, is null

// Calls `visit(name, field)` for every number of the row or state.
template <typename Row, typename Visit>
void VisitRow(Row& row, const Visit& visit) {
  visit("step", row.step);
  visit("epoch", row.epoch);
  visit("loss", row.loss);
  visit("rate", row.rate);
  visit("test_loss", row.test_loss);
  visit("test_accuracy", row.test_accuracy);
  visit("test_top5", row.test_top5);
  visit("items_per_second", row.items_per_second);
  visit("seconds", row.seconds);
  visit("wall_time", row.wall_time);
}

template <typename State, typename Visit>
void VisitState(State& state, const Visit& visit) {
  visit("step", state.step);
  visit("position", state.position);
  visit("seed", state.seed);
  visit("step_items", state.step_items);
  visit("train_size", state.train_size);
  visit("smoothed_loss", state.smoothed_loss);
  visit("loss_sum", state.loss_sum);
  visit("loss_count", state.loss_count);
  visit("best_score", state.best_score);
  visit("best_step", state.best_step);
  visit("tests_since_best", state.tests_since_best);
  visit("seconds", state.seconds);
  visit("started", state.started);
}

class Writer {
 public:
  explicit Writer(Json& json) : json_(json) {}
  template <typename T>
  void operator()(const char* name, T value) const {
    json_[name] = value;
  }

 private:
  Json& json_;
};

class Reader {
 public:
  Reader(const Json& json, bool& good) : json_(json), good_(good) {}
  template <typename T>
  void operator()(const char* name, T& value) const {
    const auto it = json_.find(name);
    constexpr bool kMayBeNull = std::is_floating_point_v<T>;
    if (it != json_.end() && (kMayBeNull ? it->is_number() : it->is_number_integer())) {
      value = it->template get<T>();
    } else if (it != json_.end() && it->is_null() && kMayBeNull) {
      value = static_cast<T>(HistoryRow::kNone);
    } else {
      good_ = false;
    }
  }

 private:
  const Json& json_;
  bool& good_;
};

Json ToJson(const RunState& state) {
  Json json = Json::object();
  VisitState(state, Writer(json));
  Json& rows = json["history"] = Json::array();
  for (const HistoryRow& row : state.history) {
    Json entry = Json::object();
    VisitRow(row, Writer(entry));
    rows.push_back(std::move(entry));
  }
  return json;
}

// Whether a run can be in this state: its counts are counts, and every step took its items.
bool IsPossible(const RunState& state) {
  constexpr int64_t kMaxPosition = int64_t{1} << 60;
  int64_t position;
  return state.step >= 0 && state.step_items > 0 && state.train_size > 0 && state.loss_count >= 0 &&
         state.tests_since_best >= 0 &&
         !__builtin_mul_overflow(state.step, state.step_items, &position) &&
         state.position == position && position <= kMaxPosition;
}

bool FromJson(const Json& json, RunState& state) {
  if (!json.is_object()) return false;
  bool good = true;
  VisitState(state, Reader(json, good));
  const auto rows = json.find("history");
  if (rows == json.end() || !rows->is_array()) return false;
  for (const Json& row : *rows) {
    if (!row.is_object()) return false;
    VisitRow(state.history.emplace_back(), Reader(row, good));
  }
  return good && IsPossible(state);
}

// ---- parameters

struct Slot {
  const kiln_tensor_info* tensor;
  uint64_t offset;
};

// Those with a name; the others are constants.
std::vector<Slot> NamedParameters(const kiln_library_info& library) {
  std::vector<Slot> slots;
  for (int32_t i = 0; i < library.num_parameters; ++i) {
    const kiln_tensor_info& tensor = library.parameters[i];
    if (tensor.name[0] != '\0') slots.push_back({&tensor, library.parameter_offsets[i]});
  }
  return slots;
}

Json ToJson(const kiln_tensor_info& tensor) {
  return {{"name", tensor.name}, {"dtype", tensor.dtype}, {"shape", ShapeOf(tensor)}};
}

// ---- files

std::string Number(uint64_t value) {
  std::string bytes;
  for (size_t i = 0; i < kNumberBytes; ++i) bytes += static_cast<char>(value >> (8 * i));
  return bytes;
}

uint64_t NumberAt(const char* at) {
  uint64_t value = 0;
  for (size_t i = 0; i < kNumberBytes; ++i) {
    value |= uint64_t{static_cast<uint8_t>(at[i])} << (8 * i);
  }
  return value;
}

uint64_t Checksum(const std::vector<Bytes>& pieces) {
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state(XXH3_createState(),
                                                                       &XXH3_freeState);
  XXH3_64bits_reset(state.get());
  for (const Bytes piece : pieces) XXH3_64bits_update(state.get(), piece.data(), piece.size());
  return XXH3_64bits_digest(state.get());
}

absl::Status Torn(const std::string& path) {
  return absl::DataLossError(absl::StrCat(path, ": is no whole snapshot"));
}

// The step in a snapshot's name; -1 for other names.
int64_t StepOf(const std::string& name) {
  const std::string_view prefix = kPrefix, suffix = kSuffix;
  if (name.size() <= prefix.size() + suffix.size() || name.size() > 40 ||
      name.compare(0, prefix.size(), prefix) != 0 ||
      name.compare(name.size() - suffix.size(), suffix.size(), suffix) != 0) {
    return -1;
  }
  int64_t step = 0;
  for (size_t i = prefix.size(); i < name.size() - suffix.size(); ++i) {
    if (name[i] < '0' || name[i] > '9' || step > int64_t{1} << 56) return -1;
    step = 10 * step + (name[i] - '0');
  }
  return step;
}

std::vector<std::string> NamesIn(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    names.push_back(it->path().filename().string());
  }
  return names;
}

}  // namespace

absl::Status WriteSnapshot(const std::string& path, const RunState& state,
                           const kiln_library_info& library, const char* block) {
  Json header = ToJson(state);
  Json& parameters = header["parameters"] = Json::array();
  const std::vector<Slot> slots = NamedParameters(library);
  for (const Slot& slot : slots) parameters.push_back(ToJson(*slot.tensor));
  const std::string text = header.dump(-1, ' ', false, Json::error_handler_t::replace);
  const std::string length = Number(text.size());
  std::vector<Bytes> pieces = {Bytes(kMagic, kMagicBytes), Bytes(length), Bytes(text)};
  for (const Slot& slot : slots) pieces.emplace_back(block + slot.offset, slot.tensor->bytes);
  const std::string checksum = Number(Checksum(pieces));
  pieces.emplace_back(checksum);
  return WriteFile(path, pieces);
}

absl::Status ReadSnapshot(const std::string& path, const kiln_library_info& library,
                          RunState& state, char* block) {
  const absl::StatusOr<std::vector<char>> file = ReadFile(path, kMaxFileBytes);
  if (!file.ok()) return file.status();
  constexpr size_t kStart = kMagicBytes + kNumberBytes;
  if (file->size() < kStart + kNumberBytes || std::memcmp(file->data(), kMagic, kMagicBytes) != 0) {
    return Torn(path);
  }
  const size_t content = file->size() - kNumberBytes;
  if (NumberAt(file->data() + content) != Checksum({Bytes(file->data(), content)})) {
    return Torn(path);
  }
  const uint64_t length = NumberAt(file->data() + kMagicBytes);
  if (length > content - kStart) return Torn(path);
  const char* const text = file->data() + kStart;
  const Json header = Json::parse(text, text + length, nullptr, /*allow_exceptions=*/false);
  RunState read;
  if (header.is_discarded() || !FromJson(header, read)) return Torn(path);
  Json expected = Json::array();
  uint64_t bytes = 0;
  const std::vector<Slot> slots = NamedParameters(library);
  for (const Slot& slot : slots) {
    expected.push_back(ToJson(*slot.tensor));
    bytes += slot.tensor->bytes;
  }
  if (header.value("parameters", Json()) != expected || bytes != content - kStart - length) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": holds the parameters of another model or solver"));
  }
  const char* from = text + length;
  for (const Slot& slot : slots) {
    std::memcpy(block + slot.offset, from, slot.tensor->bytes);
    from += slot.tensor->bytes;
  }
  state = std::move(read);
  return absl::OkStatus();
}

absl::StatusOr<SnapshotFolder> SnapshotFolder::Open(const std::string& path, int keep) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return absl::InvalidArgumentError(absl::StrCat(path, ": ", error.message()));
  const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return absl::ErrnoToStatus(errno, path);
  SnapshotFolder folder(path, std::max(keep, 1), fd);
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": is in use by another run"));
  }
  return folder;
}

SnapshotFolder::SnapshotFolder(SnapshotFolder&& other) noexcept
    : path_(std::move(other.path_)), keep_(other.keep_), fd_(std::exchange(other.fd_, -1)) {}

SnapshotFolder::~SnapshotFolder() {
  if (fd_ >= 0) close(fd_);
}

std::string SnapshotFolder::FileOf(int64_t step) const {
  constexpr size_t kDigits = 9;
  std::string digits = std::to_string(step);
  if (digits.size() < kDigits) digits.insert(0, kDigits - digits.size(), '0');
  return absl::StrCat(path_, "/", kPrefix, digits, kSuffix);
}

std::vector<int64_t> SnapshotFolder::Steps() const {
  std::vector<int64_t> steps;
  for (const std::string& name : NamesIn(path_)) {
    if (const int64_t step = StepOf(name); step >= 0) steps.push_back(step);
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

absl::Status SnapshotFolder::Store(const RunState& state, const kiln_library_info& library,
                                   const char* block) {
  const std::string path = FileOf(state.step);
  if (absl::Status status = WriteSnapshot(path, state, library, block); !status.ok()) return status;
  if (fsync(fd_) != 0) return absl::ErrnoToStatus(errno, path_);
  RemoveOld(state);
  return absl::OkStatus();
}

// Also what a killed run has left half written. What cannot be removed stays.
void SnapshotFolder::RemoveOld(const RunState& state) const {
  std::vector<int64_t> steps = Steps();
  const size_t old = steps.size() - std::min(steps.size(), static_cast<size_t>(keep_));
  for (size_t i = 0; i < old; ++i) {
    if (steps[i] != state.best_step) unlink(FileOf(steps[i]).c_str());
  }
  for (const std::string& name : NamesIn(path_)) {
    const bool aside = name.find(std::string(kSuffix) + ".") != name.npos &&
                       name.compare(0, std::strlen(kPrefix), kPrefix) == 0;
    if (aside) unlink(absl::StrCat(path_, "/", name).c_str());
  }
}

absl::StatusOr<bool> SnapshotFolder::Load(const kiln_library_info& library, RunState& state,
                                          char* block, std::vector<std::string>* torn) const {
  std::vector<int64_t> steps = Steps();
  for (; !steps.empty(); steps.pop_back()) {
    const std::string path = FileOf(steps.back());
    const absl::Status status = ReadSnapshot(path, library, state, block);
    if (status.ok()) return true;
    if (!absl::IsDataLoss(status)) return status;
    torn->push_back(path);
  }
  return false;
}

}  // namespace kiln
