#include "passes/layout/layout_classes.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <set>

#include "ir/graph/op_def.h"

namespace kiln {

namespace {

/// What a convolution in lanes along the image costs more than one along channels: unaligned loads
/// of the image where the other reads single elements.
constexpr double kPlainPenalty = 1.2;

bool IsWindowOp(const Op& op) {
  static const auto* const kinds = new std::set<std::string, std::less<>>{
      "max_pool", "avg_pool",   "lp_pool",    "pad",           "lrn",       "resize",     "slice",
      "concat",   "sum_unpool", "max_unpool", "max_pool_taps", "transpose", "window_sum", "fold"};
  return kinds->contains(op.kind());
}

bool IsDepthwise(const Op& conv) {
  return !conv.Is("winograd_conv") && conv.operand(1)->shape()[1] == 1 && conv.Int("groups") > 1;
}

/// The operands of `op` whose elements it walks as it walks its result's.
std::vector<Op*> TiedOperands(const Op& op) {
  std::vector<Op*> tied;
  const Op& core = CoreOf(op);
  for (size_t i = 0; i < op.operands().size(); ++i) {
    Op* operand = op.operand(i);
    const Op* const inside = op.body() != nullptr ? op.body()->inputs()[i] : operand;
    // What has been moved for `op` is tied to it all the same.
    while (operand->Is("relayout")) operand = operand->operand(0);
    if (!IsImage(*operand)) continue;
    if (IsConvolution(op)) {
      const bool read_by_core = inside == core.operand(0) || inside == core.operand(1);
      if (read_by_core ? !(IsDepthwise(core) && inside == core.operand(0))
                       : operand->shape() != op.shape()) {
        continue;
      }
    } else if (!FollowsLayout(op) || operand->type().rank() != op.type().rank()) {
      continue;
    }
    tied.push_back(operand);
  }
  return tied;
}

class UnionFind {
 public:
  const Op* Find(const Op* op) {
    const auto it = parents_.find(op);
    if (it == parents_.end()) return op;
    return it->second = Find(it->second);
  }
  void Join(const Op* a, const Op* b) {
    a = Find(a);
    b = Find(b);
    if (a != b) parents_[a] = b;
  }

 private:
  std::map<const Op*, const Op*> parents_;
};

/// Chooses the kind of one class.
class Chooser {
 public:
  Chooser(const std::map<const Op*, size_t>& channels, int64_t lanes)
      : channels_(channels), lanes_(lanes) {}

  void Choose(LayoutClass& group) const {
    const Op* unfilled = nullptr;  // a value whose channels fill no whole blocks
    const Op* across = nullptr;    // an op that reads neighbouring channels
    for (const Op* const op : group.members) {
      const auto channel = channels_.find(op);
      if (channel != channels_.end() && op->shape()[channel->second] % lanes_ != 0) {
        if (unfilled == nullptr) unfilled = op;
      }
      if (CoreOf(*op).Is("lrn")) across = op;
    }
    const double plain = PlainCost(group), filled = ChannelCost(group);
    if (plain < filled) {
      group.kind = LayoutClass::Kind::kPlain;
      group.reason = StrCat("its few channels leave ", Percent(filled), " of the lanes empty");
    } else if (across != nullptr) {
      group.kind = LayoutClass::Kind::kChannelsLast;
      group.reason = StrCat(Describe(*across), " reads neighbouring channels");
    } else if (unfilled != nullptr) {
      group.kind = LayoutClass::Kind::kChannelsLast;
      group.reason = StrCat(Describe(*unfilled), " does not fill blocks of ", lanes_);
    } else {
      group.kind = LayoutClass::Kind::kBlocked;
      group.reason = StrCat("channels fill blocks of ", lanes_);
    }
  }

 private:
  static double Work(const Op& op) {
    const Op& conv = CoreOf(op);
    const Op& w = *conv.operand(1);
    return static_cast<double>(op.type().count()) * static_cast<double>(w.type().count()) /
           static_cast<double>(w.shape()[OutputChannelDim(conv)]);
  }

  /// Vectors needed for `extent` elements in a row, by how many the elements would fill. The last
  /// one may be shorter: a half is as good as a whole in its place.
  double Waste(int64_t extent) const {
    int64_t taken = extent / lanes_ * lanes_, rest = extent % lanes_;
    if (rest != 0) {
      int64_t width = 4;
      while (width < rest) width *= 2;
      taken += std::min(width, lanes_);
    }
    return static_cast<double>(taken) / static_cast<double>(extent);
  }

  std::string Percent(double waste) const {
    return StrCat(static_cast<int64_t>(100 - 100 / waste), " %");
  }

  double ChannelCost(const LayoutClass& group) const {
    double work = 0, cost = 0;
    for (const Op* const op : group.convolutions) {
      work += Work(*op);
      cost += Work(*op) * Waste(op->shape()[1]);
    }
    return cost / work;
  }

  /// Infinite where lanes along the image would have to be gathered.
  double PlainCost(const LayoutClass& group) const {
    double work = 0, cost = 0;
    for (const Op* const op : group.convolutions) {
      const Op& conv = CoreOf(*op);
      if (!conv.Is("conv") || conv.Ints("strides").back() != 1) {
        return std::numeric_limits<double>::infinity();
      }
      work += Work(*op);
      cost += Work(*op) * Waste(op->shape().back()) * kPlainPenalty;
    }
    return cost / work;
  }

  const std::map<const Op*, size_t>& channels_;
  const int64_t lanes_;
};

/// The dimension that holds the channels of each value: 1 but behind transposes.
std::map<const Op*, size_t> FindChannels(const Graph& graph) {
  std::map<const Op*, size_t> channels;
  for (const auto& op : graph.ops()) {
    if (!IsImage(*op)) continue;
    size_t channel = 1;
    for (const Op* const operand : TiedOperands(*op)) {
      const auto it = channels.find(operand);
      if (it == channels.end()) continue;
      channel = it->second;
      if (!op->Is("transpose")) continue;
      const std::vector<int64_t>& perm = op->Ints("perm");
      channel = static_cast<size_t>(
          std::find(perm.begin(), perm.end(), static_cast<int64_t>(channel)) - perm.begin());
    }
    channels[op.get()] = channel;
  }
  return channels;
}

}  // namespace

const Op& CoreOf(const Op& op) {
  if (op.body() == nullptr) return op;
  for (const auto& inner : op.body()->ops()) {
    if (inner->HasTrait(kContraction | kReduction)) return *inner;
  }
  return *op.body()->outputs()[0].value;
}

bool IsConvolution(const Op& op) {
  const Op& core = CoreOf(op);
  return core.HasTrait(kContraction) && core.attributes().contains("groups") &&
         !IsWeightGradient(op);
}

bool IsWeightGradient(const Op& op) {
  const Op& core = CoreOf(op);
  return core.Is("conv_weight_gradient") || core.Is("winograd_weight_gradient");
}

int OutputChannelDim(const Op& conv) {
  if (conv.Is("winograd_conv")) return 3;
  return conv.Is("conv_transpose") && !IsDepthwise(conv) ? 1 : 0;
}

bool IsImage(const Op& op) {
  // The positions that a pool takes lie like what it computes.
  const bool fits = op.element() == ElementType::kF32 || op.Is("max_pool_taps");
  return fits && !op.HasTrait(kLeaf) && op.type().rank() >= 3 &&
         op.type().count() > op.shape()[0] * op.shape()[1] && !op.Is("relayout") &&
         !op.Is("winograd_weights") && !IsWeightGradient(op);
}

bool FollowsLayout(const Op& op) {
  if (op.body() == nullptr) return op.HasTrait(kElementwise) || IsWindowOp(op);
  return std::all_of(op.body()->ops().begin(), op.body()->ops().end(), [](const auto& inner) {
    return inner->HasTrait(kElementwise | kLeaf) || IsWindowOp(*inner) || inner->Is("broadcast");
  });
}

std::vector<LayoutClass> FindLayoutClasses(const Graph& graph, int64_t lanes) {
  UnionFind sets;
  for (const auto& op : graph.ops()) {
    for (const Op* const operand : TiedOperands(*op)) sets.Join(op.get(), operand);
  }
  std::map<const Op*, size_t> index;
  std::vector<LayoutClass> classes;
  for (const auto& op : graph.ops()) {
    if (!IsImage(*op) || !IsConvolution(*op)) continue;
    const auto [it, inserted] = index.emplace(sets.Find(op.get()), classes.size());
    if (inserted) classes.emplace_back();
    classes[it->second].convolutions.push_back(op.get());
  }
  for (const auto& op : graph.ops()) {
    const auto it = index.find(sets.Find(op.get()));
    if (it != index.end() && IsImage(*op)) classes[it->second].members.push_back(op.get());
  }
  const std::map<const Op*, size_t> channels = FindChannels(graph);
  const Chooser chooser(channels, lanes);
  for (LayoutClass& group : classes) chooser.Choose(group);
  return classes;
}

Layout ImageLayout(LayoutClass::Kind kind, int rank, int64_t lanes) {
  if (kind == LayoutClass::Kind::kBlocked) return {.order = {}, .blocks = {{1, lanes}}};
  Layout layout;
  if (kind == LayoutClass::Kind::kPlain) return layout;
  layout.order.resize(static_cast<size_t>(rank));
  std::iota(layout.order.begin() + 1, layout.order.end(), 2);
  layout.order.back() = 1;
  return layout;
}

}  // namespace kiln
