#include "passes/memory/recompute.h"

#include <algorithm>
#include <unordered_map>

#include "ir/graph/builder.h"
#include "ir/graph/op_def.h"
#include "passes/function_pass.h"
#include "passes/memory/timeline.h"

namespace kiln {

namespace {

constexpr char kName[] = "recompute";

/// Positions between ops, ascending: a cut at c lies in front of the op at position c.
using Cuts = std::vector<int>;

int64_t BytesKept(const Timeline& time) {
  int64_t bytes = 0;
  for (int i = 0; i <= time.loss(); ++i) {
    if (time.IsReadAfter(i)) bytes += time.Bytes(i);
  }
  return bytes;
}

/// Chooses cuts, and says what they save.
class Cutter {
 public:
  explicit Cutter(const Timeline& time)
      : time_(time), crossing_(static_cast<size_t>(time.loss() + 2), 0), saved_(crossing_) {
    for (int i = 0; i <= time.loss(); ++i) {
      const int64_t bytes = time.Bytes(i);
      // In every cut behind the value, up to its last reader.
      crossing_[At(i + 1)] += bytes;
      crossing_[At(std::max(i, time.LastUseBefore(i)) + 1)] -= bytes;
      saved_[At(i + 1)] = saved_[At(i)] + (time.IsReadAfter(i) ? bytes : 0);
    }
    for (size_t c = 1; c < crossing_.size(); ++c) crossing_[c] += crossing_[c - 1];
  }

  /// So many segments of about as many bytes, each cut where the fewest cross nearby.
  Cuts CutInto(int segments) const {
    Cuts cuts;
    const double each = static_cast<double>(saved_.back()) / segments;
    for (int s = 1; s < segments; ++s) {
      const int first = std::max(PositionOf((s - 0.5) * each), cuts.empty() ? 1 : cuts.back() + 1);
      const int middle = PositionOf(s * each), end = PositionOf((s + 0.5) * each);
      int best = -1;
      for (int c = first; c <= std::min(end, time_.loss()); ++c) {
        const auto rank = [&](int cut) {
          return std::pair(crossing_[At(cut)], std::abs(cut - middle));
        };
        if (best < 0 || rank(c) < rank(best)) best = c;
      }
      if (best > 0) cuts.push_back(best);
    }
    return cuts;
  }

  /// The bytes of what crosses the cuts, and of the largest segment.
  int64_t BytesWith(const Cuts& cuts) const {
    int64_t crossing = 0, largest = 0, in_segment = 0;
    size_t segment = 0;
    for (int i = 0; i <= time_.loss(); ++i) {
      if (segment < cuts.size() && cuts[segment] == i) {
        ++segment;
        in_segment = 0;
      }
      if (segment < cuts.size() && time_.LastUseBefore(i) >= cuts[segment]) {
        crossing += time_.Bytes(i);
      } else if (time_.IsReadAfter(i)) {
        largest = std::max(largest, in_segment += time_.Bytes(i));
      }
    }
    return crossing + largest;
  }

 private:
  static size_t At(int i) { return static_cast<size_t>(i); }
  /// The first cut with so many bytes before it.
  int PositionOf(double bytes) const {
    return static_cast<int>(
        std::lower_bound(saved_.begin(), saved_.end(), bytes,
                         [](int64_t a, double b) { return static_cast<double>(a) < b; }) -
        saved_.begin());
  }

  const Timeline& time_;
  std::vector<int64_t> crossing_;  // by cut
  std::vector<int64_t> saved_;     // by cut: of the values before it that are read after the loss
};

/// The fewest cuts that keep to `max_bytes`, or those that come closest.
Cuts ChooseCuts(const Timeline& time, int64_t max_bytes) {
  const Cutter cutter(time);
  Cuts best;
  int64_t best_bytes = BytesKept(time);
  constexpr int kMostSegments = 2000;
  for (int segments = 2; segments < std::min(kMostSegments, time.loss());
       segments += 1 + segments / 8) {
    Cuts cuts = cutter.CutInto(segments);
    const int64_t bytes = cutter.BytesWith(cuts);
    if (bytes >= best_bytes) continue;
    best = std::move(cuts);
    best_bytes = bytes;
    if (bytes <= max_bytes) break;
  }
  return best;
}

/// Makes the ops after the loss read values that are computed again.
class Recomputer {
 public:
  Recomputer(Graph& function, const Timeline& time, const Cuts& cuts)
      : time_(time), cuts_(cuts), builder_(&function), members_(cuts.size() + 1) {}

  Status Run() {
    for (int i = 0; i <= time_.loss(); ++i) {
      if (!IsKept(i)) members_[SegmentOf(i)].push_back(i);
    }
    MarkNeeded();
    for (size_t i = static_cast<size_t>(time_.loss() + 1); i < time_.ops().size(); ++i) {
      Op& user = *time_.ops()[i];
      for (size_t k = 0; k < user.operands().size(); ++k) {
        const int position = time_.PositionOf(*user.operand(k));
        if (position > time_.loss() || IsKept(position)) continue;
        KILN_RETURN_IF_ERROR(ComputeSegment(SegmentOf(position), user));
        user.SetOperand(k, again_.at(position));
      }
    }
    return OkStatus();
  }

  int64_t recomputed() const { return static_cast<int64_t>(again_.size()); }

 private:
  size_t SegmentOf(int position) const {
    return static_cast<size_t>(std::ranges::upper_bound(cuts_, position) - cuts_.begin());
  }

  /// Leaves, the last segment, and what is read on the other side of a cut.
  bool IsKept(int position) const {
    const size_t segment = SegmentOf(position);
    const Op& op = *time_.ops()[static_cast<size_t>(position)];
    return segment == cuts_.size() || op.HasTrait(kLeaf) ||
           (!op.HasTrait(kView) && time_.LastUseBefore(position) >= cuts_[segment]);
  }

  /// What is read after the loss, and what that is computed from.
  void MarkNeeded() {
    needed_.assign(static_cast<size_t>(time_.loss() + 1), false);
    for (int i = time_.loss(); i >= 0; --i) {
      if (IsKept(i)) continue;
      const auto position = static_cast<size_t>(i);
      if (time_.IsReadAfter(i)) needed_[position] = true;
      if (!needed_[position]) continue;
      for (const Op* const operand : time_.ops()[position]->operands()) {
        needed_[static_cast<size_t>(time_.PositionOf(*operand))] = true;
      }
    }
  }

  /// In front of `user`, unless that is done.
  Status ComputeSegment(size_t segment, Op& user) {
    builder_.SetInsertionPoint(&user);
    for (const int position : std::exchange(members_[segment], {})) {
      if (needed_[static_cast<size_t>(position)]) KILN_RETURN_IF_ERROR(ComputeAgain(position));
    }
    return OkStatus();
  }

  Status ComputeAgain(int position) {
    if (again_.contains(position)) return OkStatus();
    const Op& op = *time_.ops()[static_cast<size_t>(position)];
    std::vector<Op*> operands;
    for (Op* const operand : op.operands()) {
      const int from = time_.PositionOf(*operand);
      // Of an earlier segment only views are not kept; they have one operand and do nothing.
      if (!IsKept(from)) KILN_RETURN_IF_ERROR(ComputeAgain(from));
      operands.push_back(IsKept(from) ? operand : again_.at(from));
    }
    KILN_ASSIGN_OR_RETURN(Op* const copy, builder_.CloneOp(op, operands));
    again_.emplace(position, copy);
    return OkStatus();
  }

  const Timeline& time_;
  const Cuts& cuts_;
  Builder builder_;
  std::vector<std::vector<int>> members_;  // by segment, until it is computed again
  std::vector<bool> needed_;
  std::unordered_map<int, Op*> again_;
};

StatusOr<bool> RunOn(Graph& function, int64_t max_bytes, PassContext& context) {
  const Timeline time(function);
  const int64_t kept = BytesKept(time);
  if (kept <= max_bytes) return false;
  const Op& loss = *time.ops()[static_cast<size_t>(time.loss())];
  if (!context.Allow(kName, loss)) return false;
  const Cuts cuts = ChooseCuts(time, max_bytes);
  if (cuts.empty()) {
    context.Refused(kName, loss, "nothing is saved by computing values again");
    return false;
  }
  Recomputer recomputer(function, time, cuts);
  KILN_RETURN_IF_ERROR(recomputer.Run());
  context.Count("ops computed again", recomputer.recomputed());
  context.Fired(kName, loss,
                StrCat(recomputer.recomputed(), " of ", time.loss() + 1, " ops of ",
                       static_cast<int64_t>(cuts.size()), " segments are computed again: ",
                       Cutter(time).BytesWith(cuts), " bytes are kept, not ", kept));
  function.EraseDeadOps();
  return true;
}

}  // namespace

int64_t BytesKept(const Graph& function) { return BytesKept(Timeline(function)); }

Pass Recompute(int64_t max_bytes) {
  return FunctionPass(
      kName, "computes values again after the loss that would take too much memory to keep",
      [max_bytes](Graph& function, PassContext& context) {
        return RunOn(function, max_bytes, context);
      });
}

}  // namespace kiln
