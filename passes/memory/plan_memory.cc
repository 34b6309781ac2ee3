#include "passes/memory/plan_memory.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <map>
#include <numeric>
#include <tuple>

namespace kiln {

namespace {

constexpr int64_t kMaxArenaBytes = int64_t{1} << 48;

// Buffers that take over one another in place: one run of bytes over their joint lifetime.
struct Slot {
  int64_t size = 0;
  int64_t alignment = 1;
  int first_step = std::numeric_limits<int>::max();
  int last_step = 0;
  int64_t offset = 0;

  bool Overlaps(const Slot& other) const {
    return first_step <= other.last_step && other.first_step <= last_step;
  }
};

Status CheckLifetimes(const std::vector<BufferLifetime>& buffers) {
  for (size_t i = 0; i < buffers.size(); ++i) {
    const BufferLifetime& buffer = buffers[i];
    const bool aligned = buffer.alignment > 0 && buffer.alignment <= kMaxArenaBytes &&
                         (buffer.alignment & (buffer.alignment - 1)) == 0;
    if (buffer.size < 0 || buffer.size > kMaxArenaBytes || !aligned || buffer.first_step < 0 ||
        buffer.last_step < buffer.first_step || buffer.in_place_of < -1 ||
        buffer.in_place_of >= static_cast<int>(buffers.size())) {
      return InvalidInput("plan-memory: the lifetime of buffer ", uint64_t{i}, " is malformed");
    }
  }
  return OkStatus();
}

// The slot of each buffer: its own, or that of the buffer it takes over.
std::vector<size_t> AssignSlots(const std::vector<BufferLifetime>& buffers) {
  std::vector<size_t> by_start(buffers.size());
  std::iota(by_start.begin(), by_start.end(), size_t{0});
  std::stable_sort(by_start.begin(), by_start.end(), [&](size_t a, size_t b) {
    return buffers[a].first_step < buffers[b].first_step;
  });
  std::vector<size_t> slots(buffers.size());
  std::iota(slots.begin(), slots.end(), size_t{0});
  std::vector<bool> taken(buffers.size(), false);
  for (const size_t i : by_start) {
    if (buffers[i].in_place_of < 0) continue;
    const auto other = static_cast<size_t>(buffers[i].in_place_of);
    const bool meets = buffers[other].last_step == buffers[i].first_step &&
                       buffers[other].first_step < buffers[i].first_step;
    if (!meets || taken[other]) continue;
    taken[other] = true;
    slots[i] = slots[other];
  }
  return slots;
}

int64_t AlignUp(int64_t offset, int64_t alignment) {
  return (offset + alignment - 1) & ~(alignment - 1);
}

// The lowest end of the tightest gap that holds `slot` among the placed ones that overlap it in
// time; past all of them when no gap does. `placed` is sorted by offset.
int64_t BestFit(const Slot& slot, const std::vector<const Slot*>& placed) {
  int64_t best = -1;
  int64_t best_gap = std::numeric_limits<int64_t>::max();
  int64_t end = 0;
  for (const Slot* const other : placed) {
    if (!slot.Overlaps(*other)) continue;
    const int64_t start = AlignUp(end, slot.alignment);
    const int64_t gap = other->offset - start;
    if (gap >= slot.size && gap < best_gap) {
      best = start;
      best_gap = gap;
    }
    end = std::max(end, other->offset + other->size);
  }
  return best >= 0 ? best : AlignUp(end, slot.alignment);
}

// Places `slots` in `order`; returns the arena's size.
int64_t Place(std::vector<Slot>& slots, const std::vector<size_t>& order) {
  std::vector<const Slot*> placed;
  int64_t arena = 0;
  for (const size_t i : order) {
    Slot& slot = slots[i];
    if (slot.size == 0) continue;
    slot.offset = BestFit(slot, placed);
    arena = std::max(arena, slot.offset + slot.size);
    if (arena > kMaxArenaBytes) return arena;
    const auto position =
        std::upper_bound(placed.begin(), placed.end(), &slot,
                         [](const Slot* a, const Slot* b) { return a->offset < b->offset; });
    placed.insert(position, &slot);
  }
  return arena;
}

// Saturates above the limit, where Place will have given up anyway.
int64_t PeakBytes(const std::vector<Slot>& slots) {
  std::map<int64_t, int64_t> change;  // bytes that come alive minus bytes that died, by step
  for (const Slot& slot : slots) {
    if (slot.size == 0) continue;
    change[slot.first_step] += slot.size;
    change[int64_t{slot.last_step} + 1] -= slot.size;
  }
  int64_t alive = 0, peak = 0;
  for (const auto& [step, bytes] : change) peak = std::max(peak, alive += bytes);
  return peak;
}

}  // namespace

StatusOr<MemoryPlan> PlanMemory(const std::vector<BufferLifetime>& buffers) {
  KILN_RETURN_IF_ERROR(CheckLifetimes(buffers));
  const std::vector<size_t> slot_of = AssignSlots(buffers);
  std::vector<Slot> slots(buffers.size());
  for (size_t i = 0; i < buffers.size(); ++i) {
    Slot& slot = slots[slot_of[i]];
    slot.size = std::max(slot.size, buffers[i].size);
    slot.alignment = std::max(slot.alignment, buffers[i].alignment);
    slot.first_step = std::min(slot.first_step, buffers[i].first_step);
    slot.last_step = std::max(slot.last_step, buffers[i].last_step);
  }
  using Key = std::tuple<int64_t, int64_t>;
  const std::function<Key(const Slot&)> orders[] = {
      [](const Slot& s) { return Key{-s.size, s.first_step}; },
      [](const Slot& s) { return Key{s.first_step, -s.size}; },
      [](const Slot& s) { return Key{s.first_step - s.last_step, -s.size}; },
  };
  MemoryPlan plan;
  plan.arena_size = std::numeric_limits<int64_t>::max();
  for (const auto& key : orders) {
    std::vector<size_t> order(slots.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return key(slots[a]) < key(slots[b]); });
    const int64_t arena = Place(slots, order);
    if (arena >= plan.arena_size) continue;
    plan.arena_size = arena;
    plan.offsets.clear();
    for (const size_t slot : slot_of) plan.offsets.push_back(slots[slot].offset);
  }
  if (plan.arena_size > kMaxArenaBytes) {
    return InvalidInput("plan-memory: the intermediates need more than 2^48 bytes");
  }
  plan.lower_bound = PeakBytes(slots);
  return plan;
}

}  // namespace kiln
