#include "compiler/import/onnx/preflight.h"

#include <algorithm>
#include <set>

#include "compiler/import/onnx/op_table.h"
#include "compiler/import/onnx/tensor.h"

namespace kiln::onnx_import {

namespace {

using onnx::AttributeProto;
using onnx::GraphProto;
using onnx::NodeProto;

const char* AttributeTypeName(int type) {
  static constexpr const char* kNames[] = {"undefined",      "float",   "int",    "string",
                                           "tensor",         "graph",   "floats", "ints",
                                           "strings",        "tensors", "graphs", "sparse tensor",
                                           "sparse tensors", "type",    "types"};
  return type >= 0 && type < static_cast<int>(std::size(kNames)) ? kNames[type] : "unknown";
}

Status CheckAttribute(const OnnxOp& op, const AttributeProto& attribute, int64_t opset) {
  const auto spec = std::find_if(
      op.attributes.begin(), op.attributes.end(),
      [&](const AttributeSpec& candidate) { return candidate.name == attribute.name(); });
  if (spec == op.attributes.end() || opset < spec->first || opset > spec->last) {
    return Unsupported("attribute '", Printable(attribute.name()), "' of operator ", op.name,
                       " is not supported");
  }
  // The value comes from the call of the function that the node stands in.
  if (!attribute.ref_attr_name().empty()) return OkStatus();
  const int type = AttributeType(attribute);
  if (type != spec->type) {
    return InvalidInput("attribute '", attribute.name(), "' must be of type ",
                        AttributeTypeName(spec->type), ", found ", AttributeTypeName(type));
  }
  if (type == AttributeProto::TENSOR) return ToHeldType(attribute.t().data_type()).status();
  return OkStatus();
}

/// The walk over one model.
class Walk {
 public:
  Walk(const Functions& functions) : functions_(functions) {}

  void Graph(const GraphProto& graph, const Opsets& opsets) {
    for (const auto& input : graph.input()) Value(input);
    for (const auto& tensor : graph.initializer()) {
      Report(Printable(tensor.name()), ToHeldType(tensor.data_type()).status());
    }
    for (const NodeProto& node : graph.node()) pending_.push_back({&node, &opsets});
    Drain();
  }

  Status ToStatus() const { return problems_.ToStatus(); }

 private:
  struct Pending {
    const NodeProto* node;
    const Opsets* opsets;
  };

  void Report(const std::string& label, const Status& status) {
    if (!status.ok()) problems_.Add(label, status);
  }

  void Value(const onnx::ValueInfoProto& value) {
    const onnx::TypeProto* type = &value.type();
    if (type->has_optional_type()) type = &type->optional_type().elem_type();
    if (type->has_sequence_type()) type = &type->sequence_type().elem_type();
    if (type->has_tensor_type()) {
      const int element = type->tensor_type().elem_type();
      if (element != 0) Report(Printable(value.name()), ToHeldType(element).status());
    } else if (type->value_case() != onnx::TypeProto::VALUE_NOT_SET) {
      Report(Printable(value.name()),
             Unsupported("only tensors and sequences of them are supported as inputs"));
    }
  }

  // A stack, not recursion; reversed while it is filled so that problems come in the file's order.
  void Drain() {
    std::reverse(pending_.begin(), pending_.end());
    while (!pending_.empty()) {
      const Pending next = pending_.back();
      pending_.pop_back();
      const size_t base = pending_.size();
      Visit(*next.node, *next.opsets);
      std::reverse(pending_.begin() + static_cast<int64_t>(base), pending_.end());
    }
  }

  void Visit(const NodeProto& node, const Opsets& opsets) {
    const std::string label = NodeLabel(node);
    if (const auto it = functions_.find(CalleeKey(node)); it != functions_.end()) {
      return Function(*it->second, label);
    }
    const std::string domain = NormalDomain(node.domain());
    if (!domain.empty() && FindOnnxOp(OperatorName(node)) == nullptr) {
      return Report(label,
                    Unsupported("operator ", Printable(OperatorName(node)), " is not supported"));
    }
    const auto opset = opsets.find(domain);
    if (opset == opsets.end()) {
      return Report(label,
                    InvalidInput("no opset of the domain ",
                                 domain.empty() ? "of ONNX" : Printable(domain), " is imported"));
    }
    Report(label, Operator(node, opset->second, label));
    for (const GraphProto* const body : Subgraphs(node)) {
      for (const NodeProto& inner : body->node()) pending_.push_back({&inner, &opsets});
    }
  }

  void Function(const onnx::FunctionProto& function, const std::string& label) {
    if (!seen_.insert(&function).second) return;
    auto opsets = ReadOpsets(function.opset_import());
    if (!opsets.ok()) return Report(label, opsets.status());
    function_opsets_.push_back(std::make_unique<Opsets>(*std::move(opsets)));
    for (const NodeProto& node : function.node()) {
      pending_.push_back({&node, function_opsets_.back().get()});
    }
  }

  // Reports all of the node's bad attributes; returns the first other problem.
  Status Operator(const NodeProto& node, int64_t opset, const std::string& label) {
    const OnnxOp* const op = FindOnnxOp(OperatorName(node));
    if (op == nullptr) {
      return Unsupported("operator ", Printable(node.op_type()), " is not supported");
    }
    if (opset < op->first || opset > op->last) {
      return Unsupported("operator ", op->name, " of opset ", opset,
                         " is not supported, only that of ", op->first, " to ", op->last);
    }
    std::set<std::string> given;
    for (const AttributeProto& attribute : node.attribute()) {
      if (!given.insert(attribute.name()).second) {
        Report(label, InvalidInput("attribute '", Printable(attribute.name()),
                                   "' is given more than once"));
      }
      Report(label, CheckAttribute(*op, attribute, opset));
    }
    for (const AttributeSpec& spec : op->attributes) {
      if (spec.required && opset >= spec.first && opset <= spec.last &&
          !given.contains(spec.name)) {
        Report(label, InvalidInput("attribute '", spec.name, "' is missing"));
      }
    }
    KILN_RETURN_IF_ERROR(CheckCount("operands", node.input_size(), op->operands));
    return CheckCount("results", node.output_size(), {0, op->max_results});
  }

  const Functions& functions_;
  std::vector<Pending> pending_;
  std::set<const onnx::FunctionProto*> seen_;
  std::vector<std::unique_ptr<Opsets>> function_opsets_;
  ProblemList problems_;
};

}  // namespace

int AttributeType(const AttributeProto& attribute) {
  if (attribute.type() != AttributeProto::UNDEFINED) return attribute.type();
  if (attribute.has_f()) return AttributeProto::FLOAT;
  if (attribute.has_i()) return AttributeProto::INT;
  if (attribute.has_s()) return AttributeProto::STRING;
  if (attribute.has_t()) return AttributeProto::TENSOR;
  if (attribute.has_g()) return AttributeProto::GRAPH;
  if (attribute.floats_size() > 0) return AttributeProto::FLOATS;
  if (attribute.ints_size() > 0) return AttributeProto::INTS;
  if (attribute.strings_size() > 0) return AttributeProto::STRINGS;
  return AttributeProto::UNDEFINED;
}

Status Preflight(const onnx::ModelProto& model, const Opsets& opsets, const Functions& functions) {
  Walk walk(functions);
  walk.Graph(model.graph(), opsets);
  return walk.ToStatus();
}

}  // namespace kiln::onnx_import
