// pack-weights: the constant operand of a contraction lies so that a vector of result channels or
// columns is contiguous at every step of the sum.
//
//   conv(x, w)             =  conv(x, w')              O I ...  ->  O/B I ... B
//   conv_transpose(x, w)   =  conv_transpose(x, w')    I O ...  ->  I O/B ... B
//   winograd_conv(x, u)    =  winograd_conv(x, u')     s s I O  ->  s s O/B I B
//   matmul(a, b)           =  matmul(a, b'), b' in panels of B columns
//
// B is the number of f32 lanes of the target. Output channels that fill no whole blocks lie
// innermost as they are. Constants and frozen parameters are moved at once, those of convolutions
// that are computed or trained by a relayout.
//
// Kept: what is not f32, a convolution whose lanes run along the image, a matmul whose operand is
// narrower than a vector, or computed or trained: moving it would take longer than reading it as it
// lies.
#include <algorithm>
#include <map>
#include <optional>

#include "ir/graph/op_def.h"
#include "ir/graph/relayout.h"
#include "passes/function_pass.h"
#include "passes/graph/constants.h"
#include "passes/layout/layout_classes.h"
#include "passes/layout/layout_passes.h"
#include "passes/rewrite.h"

namespace kiln {

namespace {

constexpr char kName[] = "pack-weights";

/// The operand of `op` that its core reads as its second; nullopt when it is computed inside.
std::optional<size_t> WeightsSlot(const Op& op) {
  if (op.body() == nullptr) return 1;
  const auto& inputs = op.body()->inputs();
  const auto it = std::find(inputs.begin(), inputs.end(), CoreOf(op).operand(1));
  if (it == inputs.end()) return std::nullopt;
  return static_cast<size_t>(it - inputs.begin());
}

class WeightPacker {
 public:
  WeightPacker(Graph& graph, int lanes, PassContext& context)
      : graph_(graph), lanes_(lanes), context_(context) {}

  StatusOr<bool> Run() {
    bool changed = false;
    for (Op* const op : graph_.Snapshot()) {
      if (op->HasTrait(kLeaf) || op->element() != ElementType::kF32) continue;
      const auto slot = WeightsSlotOf(*op);
      if (!slot || op->operand(*slot)->element() != ElementType::kF32) continue;
      const Layout layout = IsConvolution(*op) ? ForConvolution(*op) : ForMatmul(*op, *slot);
      const Op* const weights = op->operand(*slot);
      if (layout.IsRowMajor() || weights->type().layout == layout) continue;
      if (!context_.Allow(kName, *op)) continue;
      KILN_RETURN_IF_ERROR(Pack(*op, *slot, layout));
      context_.Fired(kName, *op, StrCat(Describe(*op), ": weights packed as ", layout.ToString()));
      changed = true;
    }
    return changed;
  }

 private:
  static std::optional<size_t> WeightsSlotOf(const Op& op) {
    const Op& core = CoreOf(op);
    if (!core.HasTrait(kContraction) || core.operands().size() < 2) return std::nullopt;
    return WeightsSlot(op);
  }

  Layout ForConvolution(const Op& op) const {
    const bool along_image =
        IsImage(op) && op.type().layout.order.empty() && op.type().layout.blocks.empty();
    const Op& conv = CoreOf(op);
    const int channels = OutputChannelDim(conv);
    const Shape& shape = conv.operand(1)->shape();
    const int rank = static_cast<int>(shape.size());
    if (along_image || op.shape()[1] < 2) return {};
    const bool blocks = shape[channels] % lanes_ == 0;
    if (blocks && channels + 1 < rank) return {.order = {}, .blocks = {{channels, lanes_}}};
    Layout layout;
    for (int d = 0; d < rank; ++d) {
      if (d != channels) layout.order.push_back(d);
    }
    // Blocks stand before what is summed over.
    layout.order.insert(layout.order.end() - (blocks ? 1 : 0), channels);
    if (blocks) layout.blocks.push_back({channels, lanes_});
    if (std::is_sorted(layout.order.begin(), layout.order.end())) layout.order.clear();
    return layout;
  }

  Layout ForMatmul(const Op& op, size_t slot) const {
    const Op& weights = *op.operand(slot);
    if (!IsStatic(weights, context_) || weights.type().rank() != 2) return {};
    const int columns = CoreOf(op).Bool("transpose_b") ? 0 : 1;
    if (weights.shape()[columns] < lanes_) return {};
    return {.order = {columns, 1 - columns}, .blocks = {{columns, lanes_}}};
  }

  /// Packed weights are shared by all that want them alike.
  Status Pack(Op& op, size_t slot, const Layout& layout) {
    Op* const weights = op.operand(slot);
    if (weights->Is("winograd_weights") && weights->users().size() == 1) {
      weights->SetLayout(layout);
      if (op.body() != nullptr) op.body()->inputs()[slot]->SetLayout(layout);
      return OkStatus();
    }
    Op*& packed = packed_[{weights, layout.ToString()}];
    if (packed == nullptr) {
      Builder builder(&graph_, &op);
      builder.SetSources(weights->sources());
      builder.SetNameHint(weights->name());
      const Tensor* const value = KnownTensor(*weights, context_);
      const bool known = value != nullptr && value->type().layout.IsRowMajor();
      KILN_ASSIGN_OR_RETURN(packed,
                            known ? builder.Constant(ToLayout(*value, layout))
                                  : builder.Make("relayout", {weights}, {{"layout", layout}}));
    }
    op.SetOperand(slot, packed);
    if (op.body() != nullptr) op.body()->inputs()[slot]->SetLayout(layout);
    if (weights->users().empty()) {
      // Now, so that a large model's weights are not all there twice.
      std::erase_if(packed_, [&](const auto& entry) { return entry.first.first == weights; });
      EraseIfDead(weights);
    }
    return OkStatus();
  }

  Graph& graph_;
  const int64_t lanes_;
  PassContext& context_;
  std::map<std::pair<const Op*, std::string>, Op*> packed_;
};

}  // namespace

Pass PackWeights(int lanes) {
  return FunctionPass(kName, "packs the weights of contractions for the target's vectors",
                      [lanes](Graph& function, PassContext& context) {
                        return WeightPacker(function, lanes, context).Run();
                      });
}

}  // namespace kiln
