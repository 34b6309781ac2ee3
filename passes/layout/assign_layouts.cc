// assign-layouts: images lie channel-blocked, so that every load and store of a convolution is a
// whole vector of channels, and weights are packed for it.
//
//   y = conv(x, w)            =  y' = conv(x', w')     N C H W  ->  N C/B H W B
//                                                      O I ...  ->  O/B I ... B
//   y = elementwise(x...)     =  y' = elementwise(x'...), pool, pad, resize, lrn, fusions alike
//   matmul(a, constant b)     =  matmul(a, b'), b' packed in panels of B columns
//   conv_weight_gradient(x', dy') = w'                 O I ...  ->  O/B I ... B, as weights are
//   packed other(y')                 =  other(relayout(y'))   for what reads plain memory (views,
//   nests)
//
// B is the number of f32 lanes of the target. Logical shapes stay as they are. A value keeps its
// row-major layout when its channels do not fill blocks, when it is not f32, or when it is not
// computed on the way between convolutions. Constants are moved at once.
#include <algorithm>
#include <set>

#include "ir/graph/op_def.h"
#include "ir/graph/relayout.h"
#include "passes/layout/layout_passes.h"
#include "passes/rewrite.h"

namespace kiln {

namespace {

constexpr const char* kRule = "block-channels";

/// The op that decides how a value is computed: a fusion's root contraction, or the op itself.
const Op& Core(const Op& op) {
  if (op.body() == nullptr) return op;
  for (const auto& inner : op.body()->ops()) {
    if (inner->HasTrait(kContraction | kReduction)) return *inner;
  }
  return *op.body()->outputs()[0].value;
}

/// A conv_transpose whose addresses are linear: a convolution by turned kernels.
bool IsTurnedConv(const Op& op) {
  return op.Is("conv_transpose") && op.Int("groups") == 1 &&
         std::ranges::all_of(op.Ints("strides"), [](int64_t stride) { return stride == 1; });
}

/// A contraction of an image with weights.
bool IsConv(const Op& op) {
  const Op& core = Core(op);
  return core.Is("conv") || core.Is("winograd_conv") || IsTurnedConv(core);
}

/// How the weights of such an op lie so that a vector of result channels is contiguous.
Layout WeightLayout(const Op& conv, int64_t lanes) {
  if (conv.Is("winograd_conv")) return {.order = {0, 1, 3, 2}, .blocks = {{3, lanes}}};
  return {.order = {}, .blocks = {{conv.Is("conv_transpose") ? 1 : 0, lanes}}};
}

bool IsWindowOp(const Op& op) {
  static const auto* const kinds = new std::set<std::string, std::less<>>{
      "max_pool",   "avg_pool",   "lp_pool",    "pad",           "lrn",           "resize",
      "sum_unpool", "max_unpool", "window_sum", "max_pool_taps", "conv_transpose"};
  return kinds->contains(op.kind());
}

/// Elementwise, alone or a fusion of nothing else.
bool IsPointwise(const Op& op) {
  if (op.body() == nullptr) return op.HasTrait(kElementwise);
  return std::all_of(op.body()->ops().begin(), op.body()->ops().end(),
                     [](const auto& inner) { return inner->HasTrait(kElementwise | kLeaf); });
}

class LayoutAssigner {
 public:
  LayoutAssigner(Graph& graph, int lanes, PassContext& context)
      : graph_(graph), lanes_(lanes), context_(context) {}

  StatusOr<bool> Run() {
    bool changed = false;
    for (Op* const op : graph_.Snapshot()) {
      if (op->HasTrait(kLeaf) || !op->type().layout.IsRowMajor()) continue;
      if (ShouldBlock(*op) && context_.Allow(kRule, *op)) {
        KILN_RETURN_IF_ERROR(Block(*op));
        context_.Fired(kRule, *op, StrCat(Describe(*op), " computed in ", op->type().ToString()));
        changed = true;
      } else if (Core(*op).Is("matmul") && context_.Allow(kRule, *op)) {
        KILN_ASSIGN_OR_RETURN(const bool packed, PackMatmul(*op));
        changed |= packed;
      }
      KILN_RETURN_IF_ERROR(ReadPlainWhereNeeded(*op));
    }
    return changed ? RestoreOutputs() : StatusOr<bool>(false);
  }

 private:
  bool IsBlocked(const Op* op) const { return !op->type().layout.blocks.empty(); }

  /// Whether channel blocks of the images are what this value is made of.
  bool IsImage(const Op* op) const { return IsBlocked(op) && op->type().layout.blocks[0].dim == 1; }

  bool FillsBlocks(const Op& op) const {
    const bool fits = op.element() == ElementType::kF32 || op.Is("max_pool_taps");
    return fits && op.type().rank() >= 3 && op.shape()[1] % lanes_ == 0 && op.type().count() > 0;
  }

  /// The operand of `op`, maybe a fusion, that operand `k` of its core is; nullptr when it is made
  /// inside.
  Op* OuterOperand(const Op& op, size_t k) const {
    if (op.body() == nullptr) return op.operand(k);
    const auto& inputs = op.body()->inputs();
    const auto it = std::find(inputs.begin(), inputs.end(), Core(op).operand(k));
    return it == inputs.end() ? nullptr : op.operand(static_cast<size_t>(it - inputs.begin()));
  }

  /// Vectors of a weight gradient run along the channels of dy.
  bool FillsWeightBlocks(const Op& op) const {
    const Op* const dy = OuterOperand(op, 1);
    return op.element() == ElementType::kF32 && dy != nullptr && IsImage(dy) &&
           op.shape()[0] % lanes_ == 0 && op.type().count() > 0;
  }

  bool ShouldBlock(const Op& op) const {
    if (Core(op).Is("conv_weight_gradient")) return FillsWeightBlocks(op);
    if (!FillsBlocks(op)) return false;
    if (IsConv(op)) return true;
    if (op.Is("concat")) {
      return op.Int("axis") != 0 &&
             std::all_of(op.operands().begin(), op.operands().end(),
                         [&](const Op* operand) { return IsBlocked(operand); });
    }
    if (!IsWindowOp(op) && !IsPointwise(op)) return false;
    return std::any_of(op.operands().begin(), op.operands().end(), [&](const Op* operand) {
      return IsImage(operand) && operand->type().rank() == op.type().rank();
    });
  }

  Status Block(Op& op) {
    const bool weights = Core(op).Is("conv_weight_gradient");
    op.SetLayout({.order = {}, .blocks = {{weights ? 0 : 1, lanes_}}});
    if (!IsConv(op)) return OkStatus();
    // In the fusion's body the weights are an input; outside they are the operand at its place.
    const Op& conv = Core(op);
    size_t slot = 1;
    if (op.body() != nullptr) {
      const auto& inputs = op.body()->inputs();
      const auto it = std::find(inputs.begin(), inputs.end(), conv.operand(1));
      if (it == inputs.end()) return OkStatus();
      slot = static_cast<size_t>(it - inputs.begin());
    }
    return Relayout(op, slot, WeightLayout(conv, lanes_));
  }

  /// Packs a constant right operand so that a vector of result columns is contiguous for every k.
  StatusOr<bool> PackMatmul(Op& op) {
    const Op& matmul = Core(op);
    size_t slot = 1;
    if (op.body() != nullptr) {
      const auto& inputs = op.body()->inputs();
      const auto it = std::find(inputs.begin(), inputs.end(), matmul.operand(1));
      if (it == inputs.end()) return false;
      slot = static_cast<size_t>(it - inputs.begin());
    }
    const Op* const weights = op.operand(slot);
    const bool constant = weights->Is("constant") || weights->Is("parameter");
    if (!constant || weights->element() != ElementType::kF32 || weights->type().rank() != 2) {
      return false;
    }
    const int columns = matmul.Bool("transpose_b") ? 0 : 1;
    if (weights->shape()[columns] < lanes_) return false;
    const Layout packed{.order = {columns, 1 - columns}, .blocks = {{columns, lanes_}}};
    if (weights->type().layout == packed) return false;
    KILN_RETURN_IF_ERROR(Relayout(op, slot, packed));
    context_.Fired(kRule, op, StrCat(Describe(op), ": weights packed as ", packed.ToString()));
    return true;
  }

  /// Makes operand `slot` of `op` lie in `layout`; relayouts of one value are shared.
  Status Relayout(Op& op, size_t slot, const Layout& layout) {
    Op* const operand = op.operand(slot);
    if (operand->type().layout == layout) return OkStatus();
    for (Op* const user : operand->users()) {
      if (user->Is("relayout") && user->type().layout == layout && Precedes(*user, op)) {
        return Replace(op, slot, user);
      }
    }
    Builder builder(&graph_, &op);
    builder.SetSources(operand->sources());
    builder.SetNameHint(operand->name());
    const Tensor* const value = ConstantValue(*operand);
    KILN_ASSIGN_OR_RETURN(Op* const moved,
                          value != nullptr
                              ? builder.Constant(ToLayout(*value, layout))
                              : builder.Make("relayout", {operand}, {{"layout", layout}}));
    return Replace(op, slot, moved);
  }

  /// The value of a constant, or of a parameter that may be frozen; nullptr when it is not at hand
  /// or not row-major (an earlier relayout was folded into it).
  const Tensor* ConstantValue(const Op& op) const {
    const Tensor* value = nullptr;
    if (op.Is("constant")) value = &op.Constant("value");
    if (op.Is("parameter") && context_.freeze_parameters()) {
      value = &graph_.module()->FindParameter(op.String("name"))->value;
    }
    const bool movable = value != nullptr && value->known() && value->type().layout.IsRowMajor();
    return movable ? value : nullptr;
  }

  static Status Replace(Op& op, size_t slot, Op* value) {
    op.SetOperand(slot, value);
    if (op.body() != nullptr) op.body()->inputs()[slot]->SetLayout(value->type().layout);
    return OkStatus();
  }

  bool Precedes(const Op& first, const Op& second) const {
    for (const auto& op : graph_.ops()) {
      if (op.get() == &first) return true;
      if (op.get() == &second) return false;
    }
    return false;
  }

  /// Views and nests read plain memory; so does a convolution whose own result is not blocked,
  /// because its lanes run along the image, and what comes of a weight gradient.
  Status ReadPlainWhereNeeded(Op& op) {
    for (size_t i = 0; i < op.operands().size(); ++i) {
      if (op.body() != nullptr) op.body()->inputs()[i]->SetLayout(op.operand(i)->type().layout);
      if (!IsBlocked(op.operand(i)) || op.Is("relayout")) continue;
      const bool plain = op.HasTrait(kView) || op.def().nest ||
                         (op.HasTrait(kMovement) && !IsBlocked(&op)) ||
                         (IsPointwise(op) && !IsImage(op.operand(i))) ||
                         (!IsBlocked(&op) && IsImage(op.operand(i)) && IsConv(op) &&
                          op.operand(i)->type().rank() == op.type().rank());
      if (plain) KILN_RETURN_IF_ERROR(Relayout(op, i, {}));
    }
    return OkStatus();
  }

  /// The graph's outputs are row-major: that is its interface.
  StatusOr<bool> RestoreOutputs() {
    for (size_t i = 0; i < graph_.outputs().size(); ++i) {
      Op* const value = graph_.outputs()[i].value;
      if (!IsBlocked(value)) continue;
      Op* plain = nullptr;
      for (Op* const user : value->users()) {
        if (user->Is("relayout") && user->type().layout.IsRowMajor()) plain = user;
      }
      if (plain == nullptr) {
        Builder builder(&graph_);
        builder.SetSources(value->sources());
        KILN_ASSIGN_OR_RETURN(plain, builder.Make("relayout", {value}, {{"layout", Layout{}}}));
      }
      graph_.SetOutput(i, plain);
    }
    return true;
  }

  Graph& graph_;
  const int64_t lanes_;
  PassContext& context_;
};

}  // namespace

Pass AssignLayouts(int lanes) {
  return {.name = "assign-layouts",
          .doc = "blocks channels and packs weights for the target's vectors",
          .rules = {kRule},
          .run = [lanes](Module& module, PassContext& context) -> StatusOr<bool> {
            bool changed = false;
            for (const auto& function : module.functions()) {
              KILN_ASSIGN_OR_RETURN(const bool here,
                                    LayoutAssigner(*function, lanes, context).Run());
              changed |= here;
            }
            return changed;
          }};
}

}  // namespace kiln
