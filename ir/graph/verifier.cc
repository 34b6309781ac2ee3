#include "ir/graph/verifier.h"

#include <algorithm>
#include <map>
#include <set>

#include "ir/graph/op_def.h"

namespace kiln {

namespace {

template <typename... Pieces>
Status Broken(int invariant, const Pieces&... pieces) {
  return InternalError("invariant ", invariant, " is broken: ", pieces...);
}

bool IsSsaName(const std::string& name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-' || c == '/';
  });
}

Status CheckTensor(const Tensor& tensor) {
  if (const auto bytes = CheckedByteSize(tensor.type()); !bytes.ok()) {
    return Broken(2, Message(bytes.status()));
  }
  const bool at_hand = tensor.known() && tensor.recipe() == nullptr;
  if (at_hand && static_cast<int64_t>(tensor.bytes().size()) != tensor.type().bytes()) {
    return Broken(2, "a tensor of type ", tensor.type().ToString(), " has ", tensor.bytes().size(),
                  " bytes");
  }
  return OkStatus();
}

Status CheckOperandCount(const Op& op) {
  const auto& operands = op.def().operands;
  const bool variadic = !operands.empty() && operands.back().variadic;
  const size_t count = op.operands().size();
  if (variadic ? count < operands.size() : count != operands.size()) {
    return Broken(8, op.kind(), " has ", count, " operands");
  }
  return OkStatus();
}

Status CheckAttributes(const Op& op) {
  const auto& defs = op.def().attributes;
  if (op.attributes().size() != defs.size()) {
    return Broken(9, op.kind(), " has ", op.attributes().size(), " attributes, not ", defs.size());
  }
  for (const AttributeDef& def : defs) {
    const auto it = op.attributes().find(def.name);
    if (it == op.attributes().end() || it->second.kind() != def.kind) {
      return Broken(9, op.kind(), " has no attribute '", def.name, "' of kind ", Name(def.kind));
    }
    if (def.kind == Attribute::Kind::kTensor) {
      KILN_RETURN_IF_ERROR(CheckTensor(it->second.as<Tensor>()));
    }
  }
  return OkStatus();
}

Status CheckType(const Op& op) {
  if (const auto bytes = CheckedByteSize(op.type()); !bytes.ok()) {
    return Broken(10, Message(bytes.status()));
  }
  const auto inferred = op.def().infer(op);
  if (!inferred.ok()) return Broken(10, Message(inferred.status()));
  // The layout of a computed value is a choice of the layout passes; logically nothing depends on
  // it.
  if (inferred->element != op.element() || inferred->shape != op.shape()) {
    return Broken(10, "the type is ", op.type().ToString(), ", inferred is ", inferred->ToString());
  }
  return OkStatus();
}

class GraphVerifier {
 public:
  GraphVerifier(const Graph& graph, int depth) : graph_(graph), depth_(depth) {}

  Status Run() {
    for (const auto& op : graph_.ops()) {
      KILN_RETURN_IF_ERROR(Annotate(CheckOp(*op), "%" + op->name()));
      seen_.insert(op.get());
      for (const Op* const operand : op->operands()) ++uses_[operand][op.get()];
    }
    for (const auto& op : graph_.ops()) {
      KILN_RETURN_IF_ERROR(Annotate(CheckUsers(*op), "%" + op->name()));
    }
    KILN_RETURN_IF_ERROR(CheckInputs());
    return CheckOutputs();
  }

 private:
  Status CheckOp(const Op& op) {
    if (op.graph() != &graph_) return Broken(3, "the op belongs to another graph");
    if (!IsSsaName(op.name())) return Broken(3, "the name has characters that it may not have");
    if (!names_.insert(op.name()).second) return Broken(3, "the name is not unique");
    for (size_t i = 0; i < op.operands().size(); ++i) {
      if (op.operand(i) == nullptr || !seen_.contains(op.operand(i))) {
        return Broken(4, "operand ", i, " does not stand before the op in its graph");
      }
    }
    KILN_RETURN_IF_ERROR(CheckOperandCount(op));
    KILN_RETURN_IF_ERROR(CheckAttributes(op));
    KILN_RETURN_IF_ERROR(CheckBody(op));
    return CheckType(op);
  }

  Status CheckBody(const Op& op) {
    const Graph* const body = op.body();
    if (op.HasTrait(kRegion) != (body != nullptr)) {
      return Broken(11, op.kind(), body ? " has a body" : " has no body");
    }
    if (body == nullptr) return OkStatus();
    if (depth_ == kMaxRegionDepth) return Broken(11, "bodies nest too deep");
    if (body->module() != graph_.module()) return Broken(11, "the body is in another module");
    if (body->inputs().size() != op.operands().size() || body->outputs().size() != 1) {
      return Broken(11, "the body has ", body->inputs().size(), " inputs and ",
                    body->outputs().size(), " outputs");
    }
    return GraphVerifier(*body, depth_ + 1).Run();
  }

  Status CheckUsers(const Op& op) const {
    std::map<const Op*, int> listed;
    for (const Op* const user : op.users()) ++listed[user];
    const auto uses = uses_.find(&op);
    const bool right = uses == uses_.end() ? listed.empty() : listed == uses->second;
    return right ? OkStatus() : Broken(5, "users() is not the list of the op's users");
  }

  Status CheckInputs() {
    std::set<std::string> public_names;
    auto op = graph_.ops().begin();
    for (const Op* const input : graph_.inputs()) {
      if (op == graph_.ops().end() || op->get() != input || !input->Is("input")) {
        return Broken(6, "the inputs do not stand first and in order");
      }
      if (input->sources().empty() || !public_names.insert(input->sources()[0]).second) {
        return Broken(6, "the public name of %", input->name(), " is missing or not unique");
      }
      ++op;
    }
    for (; op != graph_.ops().end(); ++op) {
      if ((*op)->Is("input")) return Broken(6, "%", (*op)->name(), " is not among the inputs");
    }
    return OkStatus();
  }

  Status CheckOutputs() {
    std::set<std::pair<bool, std::string>> names;
    for (const Graph::Output& output : graph_.outputs()) {
      if (output.value == nullptr || !seen_.contains(output.value)) {
        return Broken(7, "output '", output.name, "' is not an op of the graph");
      }
      if (!names.emplace(output.update, output.name).second) {
        return Broken(7, "there are two outputs '", output.name, "'");
      }
      if (!output.update) continue;
      const Status status = CheckUpdate(*graph_.module(), output);
      if (!status.ok()) return Broken(7, Message(status));
    }
    return OkStatus();
  }

  const Graph& graph_;
  const int depth_;
  std::set<std::string> names_;
  std::set<const Op*> seen_;
  std::map<const Op*, std::map<const Op*, int>> uses_;  ///< operand -> user -> slots
};

Status CheckParameters(const Module& module) {
  for (const auto& [name, parameter] : module.parameters()) {
    if (name != parameter.name) return Broken(2, "'", parameter.name, "' is filed under ", name);
    KILN_RETURN_IF_ERROR(Annotate(CheckTensor(parameter.value), "parameter '" + name + "'"));
  }
  return OkStatus();
}

}  // namespace

Status Verify(const Graph& graph) {
  return Annotate(GraphVerifier(graph, 0).Run(), "@" + graph.name());
}

Status Verify(const Module& module) {
  KILN_RETURN_IF_ERROR(CheckParameters(module));
  std::set<std::string> names;
  for (const auto& function : module.functions()) {
    if (function->module() != &module) return Broken(1, "@", function->name(), " is elsewhere");
    if (!names.insert(function->name()).second) {
      return Broken(1, "there are two functions @", function->name());
    }
    KILN_RETURN_IF_ERROR(Verify(*function));
  }
  return OkStatus();
}

}  // namespace kiln
