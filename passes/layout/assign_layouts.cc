// assign-layouts: every value lies as those that compute and read it like best.
//
//   y = conv(x, w)         =  y' = conv(x, w)       in the layout of its class (layout_classes.h)
//   y = elementwise(x...)  =  y' = f(x'...)         pools, pad, concat, slice and fusions alike
//   y = transpose(x)       =  y' = x'               the same bytes, dimensions renamed
//   conv(x, w) {pads}      =  conv(x', w) {pads}    x' with zeros around it: every tap can be read
//   conv_weight_gradient(x', dy') = w'              vectors of dy's channels: as weights are packed
//                                                   (of x's where w' is row-major then)
//   other(y')              =  other(relayout(y'))   for what reads plain memory (reshapes, nests)
//
// Logical shapes stay as they are. Zeros around a value are written by the op that computes it;
// where that cannot be (graph inputs, constants, values read as plain memory) a relayout makes
// them. Images with one spatial position stay row-major: their channels are contiguous anyway. A
// value that is only transposed and then read as plain memory is laid out so that the transpose
// moves nothing.
#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "ir/graph/op_def.h"
#include "ir/graph/relayout.h"
#include "passes/function_pass.h"
#include "passes/graph/constants.h"
#include "passes/layout/layout_classes.h"
#include "passes/layout/layout_passes.h"
#include "passes/rewrite.h"

namespace kiln {

namespace {

constexpr char kName[] = "assign-layouts";

/// Reads its operands as row-major bytes.
bool ReadsPlain(const Op& op) {
  return op.HasTrait(kView) || (op.def().nest && op.body() == nullptr);
}

bool MakesPlain(const Op& op) { return op.Is("relayout") && op.type().layout.IsRowMajor(); }

Layout Unpadded(Layout layout) {
  layout.padding.clear();
  return layout;
}

/// The smallest padding that holds both.
void Widen(std::vector<Layout::Padding>& padding, const Layout::Padding& other) {
  if (other.low + other.high == 0) return;
  for (Layout::Padding& around : padding) {
    if (around.dim != other.dim) continue;
    around.low = std::max(around.low, other.low);
    around.high = std::max(around.high, other.high);
    return;
  }
  padding.push_back(other);
  std::sort(padding.begin(), padding.end(),
            [](const auto& a, const auto& b) { return a.dim < b.dim; });
}

bool Holds(const Layout& layout, const std::vector<Layout::Padding>& padding) {
  return std::all_of(padding.begin(), padding.end(), [&](const Layout::Padding& needed) {
    const Layout::Padding there = layout.PaddingOf(needed.dim);
    return there.low >= needed.low && there.high >= needed.high;
  });
}

class LayoutAssigner {
 public:
  LayoutAssigner(Graph& graph, int lanes, PassContext& context)
      : graph_(graph), lanes_(lanes), context_(context) {}

  StatusOr<bool> Run() {
    std::vector<LayoutClass> classes = FindLayoutClasses(graph_, lanes_);
    for (size_t i = 0; i < classes.size(); ++i) {
      const bool allowed = context_.Allow(kName, *classes[i].convolutions[0]);
      for (const Op* const op : classes[i].members) {
        if (allowed) class_of_[op] = &classes[i];
      }
    }
    FindPadding();
    for (const auto& op : graph_.ops()) ChooseLayout(*op);
    for (Op* const op : graph_.Snapshot()) KILN_RETURN_IF_ERROR(MoveOperands(*op));
    KILN_RETURN_IF_ERROR(RestoreOutputs());
    for (const LayoutClass& group : classes) Tell(group);
    for (const auto& op : graph_.ops()) ShowToBody(*op);
    return changed_;
  }

 private:
  // ---- padding

  /// The zeros around operand `i` that `op` reads.
  std::vector<Layout::Padding> PaddingRead(const Op& op, size_t i) const {
    const Op& core = CoreOf(op);
    std::vector<Layout::Padding> padding;
    const Op* const inside = op.body() != nullptr ? op.body()->inputs()[i] : op.operand(i);
    if (!core.def().zeros_read || inside != core.operand(0)) return padding;
    // A single window is cut to the image instead.
    const TensorType& windows = IsWeightGradient(op) ? core.operand(1)->type() : op.type();
    if (windows.count() <= windows.shape[0] * windows.shape[1]) return padding;
    for (const Layout::Padding& around : core.def().zeros_read(core)) Widen(padding, around);
    return padding;
  }

  /// Whether `op` can write zeros around its result.
  bool MayPad(const Op& op) const {
    if (!IsImage(op) || ReadsPlain(op) || op.Is("transpose")) return false;
    const OpDef& def = (op.body() != nullptr ? *op.body()->outputs()[0].value : op).def();
    if (!def.element && !def.stages) return false;
    const auto group = class_of_.find(&op);
    const bool plain = group == class_of_.end() || group->second->kind == LayoutClass::Kind::kPlain;
    if (!plain) return true;
    // A plain value that is read as such would have to be moved for it.
    return !graph_.IsOutput(&op) && std::none_of(op.users().begin(), op.users().end(),
                                                 [](const Op* user) { return ReadsPlain(*user); });
  }

  /// What every value should have around it, so that it also suits what shares its memory: a concat
  /// and its parts, a value and its slices of channels.
  void FindPadding() {
    bool grown = true;
    const auto widen = [&](const Op* op, const std::vector<Layout::Padding>& by) {
      if (by.empty() || !MayPad(*op)) return;
      const std::vector<Layout::Padding> before = padding_[op];
      for (const Layout::Padding& around : by) Widen(padding_[op], around);
      grown |= before != padding_[op];
    };
    while (std::exchange(grown, false)) {
      for (auto it = graph_.ops().rbegin(); it != graph_.ops().rend(); ++it) {
        const Op& op = **it;
        for (size_t i = 0; i < op.operands().size(); ++i) widen(op.operand(i), PaddingRead(op, i));
        if (op.Is("concat") && op.Int("axis") == 1) {
          for (const Op* const part : op.operands()) {
            widen(&op, padding_[part]);
            widen(part, padding_[&op]);
          }
        }
        if (IsChannelSlice(op)) widen(op.operand(0), padding_[&op]);
      }
    }
  }

  static bool IsChannelSlice(const Op& op) {
    if (!op.Is("slice") || op.type().rank() < 2) return false;
    for (int d = 0; d < op.type().rank(); ++d) {
      if (d != 1 && op.shape()[d] != op.operand(0)->shape()[d]) return false;
    }
    return op.Ints("strides")[1] == 1;
  }

  // ---- layouts

  /// The layout in which a transpose that is read as plain memory has the bytes of `op`; none when
  /// there is no such transpose.
  std::optional<Layout> TransposedForPlainReader(const Op& op) const {
    for (const Op* const user : op.users()) {
      if (!user->Is("transpose")) continue;
      const bool plain =
          graph_.IsOutput(user) ||
          std::any_of(user->users().begin(), user->users().end(),
                      [](const Op* reader) { return ReadsPlain(*reader) || MakesPlain(*reader); });
      if (!plain) continue;
      const std::vector<int64_t>& perm = user->Ints("perm");
      return Layout{.order = {perm.begin(), perm.end()}};
    }
    return std::nullopt;
  }

  /// Vectors of a gradient of weights run along the channels of dy, when those are neighbours; of
  /// 1x1 weights, which lie so anyway, along those of x.
  Layout WeightGradientLayout(const Op& op) const {
    const auto lies_in_vectors = [&](const Op* factor) {
      for (size_t i = 0; op.body() != nullptr && i < op.operands().size(); ++i) {
        if (op.body()->inputs()[i] == factor) factor = op.operand(i);
      }
      const Layout there = Unpadded(factor->type().layout);
      return (!there.blocks.empty() && there.blocks[0].dim == 1) ||
             (!there.order.empty() && there.order.back() == 1);
    };
    const Op& core = CoreOf(op);
    if (!lies_in_vectors(core.operand(1)) || op.element() != ElementType::kF32) return {};
    const bool spatial = op.type().count() > op.shape()[0] * op.shape()[1];
    if (!spatial && op.shape()[1] % lanes_ == 0 && lies_in_vectors(core.operand(0))) return {};
    if (op.shape()[0] % lanes_ == 0) return {.order = {}, .blocks = {{0, lanes_}}};
    Layout layout;
    for (int d = 1; d < op.type().rank(); ++d) layout.order.push_back(d);
    layout.order.push_back(0);
    return layout;
  }

  Layout BaseLayout(const Op& op) const {
    if (IsWeightGradient(op)) return WeightGradientLayout(op);
    const auto group = class_of_.find(&op);
    if (group == class_of_.end() || !IsImage(op)) return {};
    const LayoutClass::Kind kind = group->second->kind;
    if (kind == LayoutClass::Kind::kPlain) return {};
    if (const auto layout = TransposedForPlainReader(op)) return *layout;
    if (!IsConvolution(op)) {
      // Behind a transpose the channels are another dimension.
      for (const Op* const operand : op.operands()) {
        const auto other = class_of_.find(operand);
        const bool tied = other != class_of_.end() && other->second == group->second &&
                          operand->type().rank() == op.type().rank();
        if (tied && layout_kind_.contains(operand)) return layout_kind_.at(operand);
      }
    }
    return ImageLayout(kind, op.type().rank(), lanes_);
  }

  void ChooseLayout(Op& op) {
    if (op.HasTrait(kLeaf) || op.attributes().contains("layout")) return;
    if (op.Is("transpose")) {
      const Layout& layout = op.operand(0)->type().layout;
      if (layout.IsRowMajor() && !IsReadByConvolutions(op)) return;
      SetLayout(op, layout.Transposed(op.Ints("perm")));
      layout_kind_[&op] = Unpadded(op.type().layout);
      return;
    }
    if (ReadsPlain(op)) return;
    Layout layout = BaseLayout(op);
    if (class_of_.contains(&op)) layout_kind_[&op] = layout;
    if (IsChannelSlice(op) && Unpadded(op.operand(0)->type().layout) == layout) {
      layout = op.operand(0)->type().layout;
    } else if (const auto padding = padding_.find(&op); padding != padding_.end()) {
      layout.padding = padding->second;
    }
    SetLayout(op, std::move(layout));
  }

  /// A convolution reads a transposed image as well where it is.
  static bool IsReadByConvolutions(const Op& op) {
    return !op.users().empty() &&
           std::all_of(op.users().begin(), op.users().end(), [&](const Op* user) {
             return IsConvolution(*user) || user->Is("relayout");
           });
  }

  void SetLayout(Op& op, Layout layout) {
    if (op.type().layout == layout) return;
    const auto group = class_of_.find(&op);
    if (group != class_of_.end()) changed_classes_.insert(group->second);
    op.SetLayout(std::move(layout));
    changed_ = true;
  }

  // ---- moving what lies wrong

  Status MoveOperands(Op& op) {
    if (op.HasTrait(kLeaf) || op.Is("relayout")) return OkStatus();
    for (size_t i = 0; i < op.operands().size(); ++i) {
      const Layout& there = op.operand(i)->type().layout;
      if (ReadsPlain(op) || IsWeightGradient(*op.operand(i))) {
        KILN_RETURN_IF_ERROR(Move(op, i, {}));
        continue;
      }
      const Layout own = Unpadded(op.type().layout);
      if (IsImage(op) && op.operand(i)->shape() == op.shape() && there != own &&
          KnownTensor(*op.operand(i), context_) != nullptr && !op.Is("transpose")) {
        KILN_RETURN_IF_ERROR(Move(op, i, own));
        continue;
      }
      const std::vector<Layout::Padding> padding = PaddingRead(op, i);
      const bool gathers = RunsAlongImage(op) && op.operand(i)->type().rank() == op.type().rank() &&
                           !Unpadded(there).IsRowMajor() && IsReadAsImage(op, i);
      const bool blocks = ReadsChannels(op) && Unpadded(there).IsRowMajor() && IsReadAsImage(op, i);
      if (Holds(there, padding) && !gathers && !blocks) continue;
      Layout layout = gathers  ? Layout{}
                      : blocks ? ImageLayout(LayoutClass::Kind::kBlocked, 4, lanes_)
                               : Unpadded(there);
      layout.padding = padding;
      KILN_RETURN_IF_ERROR(Move(op, i, layout));
    }
    return OkStatus();
  }

  /// A convolution whose lanes are neighbours in a row of the image.
  bool RunsAlongImage(const Op& op) const {
    return IsConvolution(op) && IsImage(op) && Unpadded(op.type().layout).IsRowMajor();
  }

  /// A convolution that loads vectors of its image's channels, where others load single elements.
  static bool ReadsChannels(const Op& op) { return CoreOf(op).Is("winograd_conv"); }

  static bool IsReadAsImage(const Op& op, size_t i) {
    const Op* const inside = op.body() != nullptr ? op.body()->inputs()[i] : op.operand(i);
    return inside == CoreOf(op).operand(0);
  }

  /// Makes operand `i` of `op` lie in `layout`; relayouts of one value are shared.
  Status Move(Op& op, size_t i, const Layout& layout) {
    if (op.operand(i)->type().layout == layout) return OkStatus();
    KILN_ASSIGN_OR_RETURN(Op* const moved, Moved(op.operand(i), layout, &op));
    op.SetOperand(i, moved);
    return OkStatus();
  }

  /// `value` in `layout`, ready before `reader`, or at the end of the graph.
  StatusOr<Op*> Moved(Op* value, const Layout& layout, Op* reader) {
    changed_ = true;
    for (Op* const user : value->users()) {
      const bool same = user->Is("relayout") && user->type().layout == layout;
      if (same && (reader == nullptr || Precedes(*user, *reader))) return user;
    }
    Builder builder(&graph_, reader);
    builder.SetSources(value->sources());
    builder.SetNameHint(value->name());
    const Tensor* const known = KnownTensor(*value, context_);
    if (known != nullptr && known->type().layout.IsRowMajor()) {
      return builder.Constant(ToLayout(*known, layout));
    }
    return builder.Make("relayout", {value}, {{"layout", layout}});
  }

  bool Precedes(const Op& first, const Op& second) const {
    for (const auto& op : graph_.ops()) {
      if (op.get() == &first) return true;
      if (op.get() == &second) return false;
    }
    return false;
  }

  /// The graph's outputs are row-major: that is its interface.
  Status RestoreOutputs() {
    for (size_t i = 0; i < graph_.outputs().size(); ++i) {
      Op* const value = graph_.outputs()[i].value;
      if (value->type().layout.IsRowMajor()) continue;
      KILN_ASSIGN_OR_RETURN(Op* const plain, Moved(value, {}, nullptr));
      graph_.SetOutput(i, plain);
    }
    return OkStatus();
  }

  /// Inside a fusion the operands lie as they do outside.
  static void ShowToBody(Op& op) {
    if (op.body() == nullptr) return;
    for (size_t i = 0; i < op.operands().size(); ++i) {
      op.body()->inputs()[i]->SetLayout(op.operand(i)->type().layout);
    }
  }

  void Tell(const LayoutClass& group) {
    if (!changed_classes_.contains(&group)) return;
    const Op& first = *group.convolutions[0];
    const size_t others = group.members.size() - 1;
    context_.Fired(
        kName, first,
        StrCat(Describe(first), others == 0 ? "" : StrCat(" and ", others, " more"),
               " computed in ", Unpadded(first.type().layout).ToString(), ": ", group.reason));
  }

  Graph& graph_;
  const int64_t lanes_;
  PassContext& context_;
  std::map<const Op*, const LayoutClass*> class_of_;
  std::map<const Op*, std::vector<Layout::Padding>> padding_;
  std::map<const Op*, Layout> layout_kind_;  ///< without padding, of what has been laid out
  std::set<const LayoutClass*> changed_classes_;
  bool changed_ = false;
};

}  // namespace

Pass AssignLayouts(int lanes) {
  return FunctionPass(
      kName, "lays out images for the target's vectors, with zeros around them for windows",
      [lanes](Graph& function, PassContext& context) {
        return LayoutAssigner(function, lanes, context).Run();
      });
}

}  // namespace kiln
