#include "compiler/diff/canonical.h"

#include <algorithm>
#include <set>

#include "ir/graph/builder.h"
#include "ir/graph/op_def.h"
#include "ir/graph/printer.h"
#include "ir/support/strings.h"
#include "passes/graph/graph_passes.h"
#include "passes/pass_manager.h"

namespace kiln {

namespace {

/// Runs simplifications until none fires, or often enough.
Status Simplify(Module& module) {
  constexpr int kMaxRounds = 8;
  // A pool over the whole image is a reduction, one over single positions nothing; what else works
  // on extents of 1 makes graphs faster, not more alike, and the layers harder to know again.
  PassOptions options;
  options.rewrites.disabled = {"one-tap",      "product-of-pixels", "pixel-outwards",
                               "linear-chain", "gather-first",      "mean-before-product"};
  for (int round = 0; round < kMaxRounds; ++round) {
    PassManager manager(
        {EliminateDeadCode(), SimplifyAlgebra(), EliminateCommonSubexpressions(), FoldConstants(),
         FoldBatchNorm(), DecomposeComposites(), FoldTransposes(), Reduce1x1()},
        options);
    KILN_RETURN_IF_ERROR(manager.Run(module));
    const bool changed = std::any_of(manager.reports().begin(), manager.reports().end(),
                                     [](const PassReport& report) { return report.changed; });
    if (!changed) return OkStatus();
  }
  return OkStatus();
}

// matmul(a, b^T) with a constant b is matmul(a, b'), with b' computed by the next round.
Status UntransposeWeights(Graph& graph) {
  for (Op* const op : graph.Snapshot()) {
    if (!op->Is("matmul")) continue;
    for (const size_t i : {size_t{0}, size_t{1}}) {
      const char* const flag = i == 0 ? "transpose_a" : "transpose_b";
      Op* const weights = op->operand(i);
      if (!op->Bool(flag) || TensorOf(*weights) == nullptr) continue;
      Builder b(&graph, op);
      b.SetSources(op->sources());
      std::vector<int64_t> order(weights->shape().size());
      for (size_t d = 0; d < order.size(); ++d) order[d] = static_cast<int64_t>(d);
      std::swap(order[order.size() - 1], order[order.size() - 2]);
      KILN_ASSIGN_OR_RETURN(Op* const turned, b.Transpose(weights, order));
      AttributeMap attributes = op->attributes();
      attributes.find(flag)->second = Attribute(false);
      std::vector<StatusOr<Op*>> operands(op->operands().begin(), op->operands().end());
      operands[i] = turned;
      KILN_ASSIGN_OR_RETURN(Op* const product, b.Make("matmul", operands, std::move(attributes)));
      graph.ReplaceAllUses(op, product);
      graph.Erase(op);
      break;
    }
  }
  return OkStatus();
}

// A constant's leading extents of 1 mean nothing to an elementwise op: they broadcast.
Shape Stripped(const Shape& shape) {
  const auto first = std::find_if(shape.begin(), shape.end(), [](int64_t n) { return n != 1; });
  return Shape(first, shape.end());
}

std::string TensorText(const Tensor& tensor, const Shape& shape, bool with_numbers) {
  return StrCat("tensor ", Name(tensor.type().element), FormatInts(shape), " ",
                with_numbers && tensor.known() ? ContentHash(tensor.bytes()) : "");
}

std::string AttributeText(const Attribute& attribute) {
  if (attribute.kind() != Attribute::Kind::kTensor) return Print(attribute);
  return TensorText(attribute.as<Tensor>(), attribute.as<Tensor>().shape(), true);
}

}  // namespace

const Tensor* TensorOf(const Op& op) {
  if (op.Is("constant")) return &op.Constant("value");
  if (!op.Is("parameter")) return nullptr;
  return &op.graph()->module()->FindParameter(op.String("name"))->value;
}

StatusOr<CanonicalNetwork> CanonicalNetwork::Create(std::unique_ptr<Module> module) {
  Graph* const graph = module->FindFunction("forward");
  if (graph == nullptr) return InvalidInput("there is no function 'forward'");
  KILN_RETURN_IF_ERROR(Simplify(*module));
  KILN_RETURN_IF_ERROR(UntransposeWeights(*graph));
  KILN_RETURN_IF_ERROR(Simplify(*module));
  CanonicalNetwork network;
  for (const Graph::Output& output : graph->outputs()) {
    if (TensorOf(*output.value) == nullptr) network.outputs_.push_back(output.value);
  }
  network.module_ = std::move(module);
  // At first inputs are told apart by their types alone, then by the order that follows.
  for (const bool with_numbers : {false, true}) {
    network.inputs_.clear();
    network.HashOps(with_numbers);
    network.Order();
    (with_numbers ? network.hash_ : network.structure_) = network.HashOps(with_numbers);
  }
  network.Order();
  return network;
}

std::string CanonicalNetwork::Signature(const Op& op) {
  std::string text = StrCat(op.kind(), " ", op.type().ToString());
  for (const auto& [name, value] : op.attributes()) {
    text += StrCat(" ", name, "=", AttributeText(value));
  }
  if (op.body() != nullptr) text += Print(*op.body());
  return text;
}

std::vector<const Op*> CanonicalNetwork::Operands(const Op& op) const {
  std::vector<const Op*> operands(op.operands().begin(), op.operands().end());
  if (op.HasTrait(kCommutative)) {
    std::stable_sort(operands.begin(), operands.end(),
                     [&](const Op* a, const Op* b) { return Hash(*a) < Hash(*b); });
  }
  return operands;
}

// The graph's own order has operands before users.
std::string CanonicalNetwork::HashOps(bool with_numbers) {
  for (const Op* const input : graph().inputs()) {
    hashes_[input] = ContentHash(StrCat("input ", input->type().ToString()));
  }
  for (size_t i = 0; i < inputs_.size(); ++i) {
    hashes_[inputs_[i]] = ContentHash(StrCat("input ", i, " ", inputs_[i]->type().ToString()));
  }
  for (const auto& op : graph().ops()) {
    if (op->Is("input")) continue;
    if (const Tensor* const tensor = TensorOf(*op); tensor != nullptr) {
      hashes_[op.get()] = ContentHash(TensorText(*tensor, tensor->shape(), with_numbers));
      continue;
    }
    std::string text = Signature(*op);
    for (const Op* const operand : Operands(*op)) {
      const Tensor* const tensor = TensorOf(*operand);
      const bool broadcast = op->HasTrait(kElementwise) && tensor != nullptr;
      text += StrCat("\n", broadcast ? TensorText(*tensor, Stripped(tensor->shape()), with_numbers)
                                     : Hash(*operand));
    }
    hashes_[op.get()] = ContentHash(text);
  }
  std::string text;
  for (const Op* const output : outputs_) text += Hash(*output) + "\n";
  return ContentHash(text);
}

// Depth first from the outputs, operands in canonical order; a stack, as graphs are deep.
void CanonicalNetwork::Order() {
  ops_.clear();
  inputs_.clear();
  std::set<const Op*> seen;
  struct Frame {
    const Op* op;
    std::vector<const Op*> operands;
    size_t next;
  };
  std::vector<Frame> stack;
  const auto push = [&](const Op* op) {
    if (!seen.insert(op).second) return;
    if (op->Is("input")) inputs_.push_back(op);
    if (op->HasTrait(kLeaf)) return;
    stack.push_back({op, Operands(*op), 0});
  };
  for (const Op* const output : outputs_) {
    push(output);
    while (!stack.empty()) {
      Frame& top = stack.back();
      if (top.next < top.operands.size()) {
        const Op* const operand = top.operands[top.next++];  // push may move the frame
        push(operand);
      } else {
        ops_.push_back(top.op);
        stack.pop_back();
      }
    }
  }
}

}  // namespace kiln
