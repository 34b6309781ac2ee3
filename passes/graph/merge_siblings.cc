// merge-siblings: 1x1 convolutions that read one image become one wide convolution, so that the
// image is read once and register tiles are filled; what each computed is a slice of channels,
// which is read where it lies.
//
//   f(conv(x, a) + c), f(conv(x, b) + d) = slices of f(conv(x, [a; b]) + [c; d])
//
// f is any chain of elementwise ops that is the same behind each of them. Weights and biases are
// constants, joined when the model is compiled.
//
// Kept: siblings that go straight into a concat or are outputs, since they are computed where they
// are needed; those whose chains differ; groups and kernels larger than 1x1.
#include <algorithm>
#include <cstring>
#include <map>
#include <optional>

#include "ir/graph/builder.h"
#include "ir/graph/op_def.h"
#include "passes/function_pass.h"
#include "passes/graph/constants.h"
#include "passes/graph/graph_passes.h"
#include "passes/rewrite.h"

namespace kiln {

namespace {

constexpr char kName[] = "merge-siblings";
constexpr size_t kMaxChain = 4;

bool AllAre(const std::vector<int64_t>& values, int64_t value) {
  return std::all_of(values.begin(), values.end(), [=](int64_t v) { return v == value; });
}

// One step behind a convolution: an elementwise op, its operand that comes from the convolution,
// and the constant it reads beside it.
struct Link {
  Op* op;
  size_t slot;
  const Tensor* constant = nullptr;  // null: the op has one operand
};

struct Sibling {
  Op* conv;
  const Tensor* weights;
  std::vector<Link> chain;
  Op* end() const { return chain.empty() ? conv : chain.back().op; }
  int64_t channels() const { return conv->shape()[1]; }
};

// The elementwise op behind `op`, when it is its only reader and reads at most a constant beside it
// that is one value or varies along the channels.
std::optional<Link> NextLink(const Op& op, const PassContext& context) {
  if (!HasOneUse(op)) return std::nullopt;
  Op* const next = op.users()[0];
  if (!next->HasTrait(kElementwise) || next->type() != op.type() || next->operands().size() > 2) {
    return std::nullopt;
  }
  const size_t slot = next->operand(0) == &op ? 0 : 1;
  if (next->operands().size() == 1) return Link{next, 0};
  const Op& other = *next->operand(1 - slot);
  const Tensor* const constant = KnownTensor(other, context);
  if (constant == nullptr || !constant->type().layout.IsRowMajor() ||
      !VariesOnlyAlong(other, op.shape(), 1)) {
    return std::nullopt;
  }
  return Link{next, slot, constant};
}

std::optional<Sibling> AsSibling(Op* conv, const PassContext& context) {
  const bool pointwise =
      conv->Is("conv") && conv->Int("groups") == 1 &&
      AllAre({conv->operand(1)->shape().begin() + 2, conv->operand(1)->shape().end()}, 1) &&
      AllAre(conv->Ints("pads_low"), 0) && AllAre(conv->Ints("pads_high"), 0);
  if (!pointwise) return std::nullopt;
  const Tensor* const weights = KnownTensor(*conv->operand(1), context);
  if (weights == nullptr || !weights->type().layout.IsRowMajor()) return std::nullopt;
  Sibling sibling{conv, weights, {}};
  while (sibling.chain.size() < kMaxChain) {
    const auto link = NextLink(*sibling.end(), context);
    if (!link) break;
    sibling.chain.push_back(*link);
  }
  return sibling;
}

bool IsUsedWhereItLies(const Op& end) {
  return end.graph()->IsOutput(&end) ||
         std::any_of(end.users().begin(), end.users().end(),
                     [](const Op* user) { return user->Is("concat"); });
}

bool IsAlike(const Link& a, const Link& b) {
  if (&a.op->def() != &b.op->def() || a.slot != b.slot) return false;
  if (a.op->attributes() != b.op->attributes()) return false;
  if ((a.constant == nullptr) != (b.constant == nullptr)) return false;
  if (a.constant == nullptr) return true;
  const bool one = a.constant->type().count() == 1;
  return one ? *a.constant == *b.constant : b.constant->type().count() == b.op->shape()[1];
}

// Why `b` cannot be merged with `a`; empty when it can.
std::string WhyNot(const Sibling& a, const Sibling& b) {
  AttributeMap left = a.conv->attributes();
  if (left != b.conv->attributes()) return "their attributes differ";
  if (a.chain.size() != b.chain.size()) return "what follows them differs";
  for (size_t i = 0; i < a.chain.size(); ++i) {
    if (!IsAlike(a.chain[i], b.chain[i])) return "what follows them differs";
  }
  return "";
}

// The tensors one after another along the dimension `axis`, in which they differ alone and before
// which all extents are 1.
Tensor Joined(const std::vector<const Tensor*>& parts, size_t axis) {
  TensorType type = parts[0]->type();
  type.shape[axis] = 0;
  std::vector<char> bytes;
  for (const Tensor* const part : parts) {
    type.shape[axis] += part->shape()[axis];
    bytes.insert(bytes.end(), part->bytes().begin(), part->bytes().end());
  }
  return Tensor(std::move(type), std::move(bytes));
}

// Of a constant that varies along the channels of an image of `rank` alone: [1.., C, 1..].
Tensor AlongChannels(const Tensor& constant, size_t rank) {
  Shape shape(rank, 1);
  shape[1] = constant.type().count();
  return constant.Reshaped(std::move(shape));
}

class SiblingMerger {
 public:
  SiblingMerger(Graph& graph, PassContext& context) : graph_(graph), context_(context) {
    size_t position = 0;
    for (const auto& op : graph.ops()) position_[op.get()] = position++;
  }

  StatusOr<bool> Run() {
    bool changed = false;
    for (Op* const op : graph_.Snapshot()) {
      std::vector<Sibling> siblings = SiblingsOf(*op);
      if (siblings.size() < 2 || !context_.Allow(kName, *siblings[0].conv)) continue;
      KILN_RETURN_IF_ERROR(Merge(siblings));
      changed = true;
    }
    if (changed) graph_.EraseDeadOps();
    return changed;
  }

 private:
  // The readers of `x` that can become one, in graph order.
  std::vector<Sibling> SiblingsOf(const Op& x) {
    std::vector<Sibling> siblings;
    std::vector<Op*> readers = x.users();
    std::sort(readers.begin(), readers.end(),
              [&](const Op* a, const Op* b) { return position_[a] < position_[b]; });
    for (Op* const reader : readers) {
      if (!position_.contains(reader) || reader->operand(0) != &x) continue;
      const auto sibling = AsSibling(reader, context_);
      if (!sibling) continue;
      std::string why_not;
      if (IsUsedWhereItLies(*sibling->end())) {
        why_not = "its result is computed where it is needed";
      } else if (!siblings.empty()) {
        why_not = WhyNot(siblings[0], *sibling);
      }
      if (why_not.empty()) {
        siblings.push_back(*sibling);
      } else if (readers.size() > 1) {
        context_.Refused(
            kName, *reader,
            StrCat(Describe(*reader), " not merged with others of ", Describe(x), ": ", why_not));
      }
    }
    return siblings;
  }

  Status Merge(const std::vector<Sibling>& siblings) {
    const Sibling& first = siblings[0];
    Builder builder(&graph_, first.conv);
    std::string names;
    std::vector<const Tensor*> weights;
    std::vector<std::string> sources;
    for (const Sibling& sibling : siblings) {
      weights.push_back(sibling.weights);
      if (&sibling != &first) names += StrCat(names.empty() ? "" : ", ", Describe(*sibling.conv));
      AppendSources(*sibling.conv, sources);
      for (const Link& link : sibling.chain) AppendSources(*link.op, sources);
    }
    builder.SetSources(sources);
    context_.Fired(kName, *first.conv, StrCat(Describe(*first.conv), " merged with ", names));
    KILN_ASSIGN_OR_RETURN(
        Op * wide,
        builder.Make("conv", {first.conv->operand(0), builder.Constant(Joined(weights, 0))},
                     first.conv->attributes()));
    for (size_t i = 0; i < first.chain.size(); ++i) {
      KILN_ASSIGN_OR_RETURN(wide, Follow(builder, wide, siblings, i));
    }
    int64_t start = 0;
    for (const Sibling& sibling : siblings) {
      Op* const end = sibling.end();
      std::vector<int64_t> starts(end->shape().size(), 0);
      starts[1] = start;
      start += sibling.channels();
      builder.SetSources(end->sources());
      KILN_ASSIGN_OR_RETURN(Op* const slice,
                            builder.Make("slice", {wide},
                                         {{"starts", starts},
                                          {"sizes", end->shape()},
                                          {"strides", std::vector<int64_t>(starts.size(), 1)}}));
      graph_.ReplaceAllUses(end, slice);
    }
    return OkStatus();
  }

  static void AppendSources(const Op& op, std::vector<std::string>& sources) {
    for (const std::string& source : op.sources()) {
      if (std::find(sources.begin(), sources.end(), source) == sources.end()) {
        sources.push_back(source);
      }
    }
  }

  // The i-th op of the chain behind `wide`, with the constants of all siblings.
  static StatusOr<Op*> Follow(Builder& builder, Op* wide, const std::vector<Sibling>& siblings,
                              size_t i) {
    const Link& link = siblings[0].chain[i];
    if (link.constant == nullptr) return builder.CloneOp(*link.op, {wide});
    std::vector<Tensor> aligned;
    std::vector<const Tensor*> parts;
    for (const Sibling& sibling : siblings) {
      aligned.push_back(AlongChannels(*sibling.chain[i].constant, wide->shape().size()));
    }
    for (const Tensor& part : aligned) parts.push_back(&part);
    const bool one = link.constant->type().count() == 1;
    KILN_ASSIGN_OR_RETURN(Op* const constant,
                          builder.Constant(one ? *link.constant : Joined(parts, 1)));
    std::vector<Op*> operands = {wide, constant};
    if (link.slot == 1) std::swap(operands[0], operands[1]);
    return builder.CloneOp(*link.op, operands);
  }

  Graph& graph_;
  PassContext& context_;
  std::map<const Op*, size_t> position_;
};

}  // namespace

Pass MergeSiblings() {
  return FunctionPass(
      kName, "merges 1x1 convolutions that read one image",
      [](Graph& function, PassContext& context) { return SiblingMerger(function, context).Run(); });
}

}  // namespace kiln
