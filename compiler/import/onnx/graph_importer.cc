#include "compiler/import/onnx/graph_importer.h"

#include <algorithm>

#include "compiler/import/foreign/values.h"
#include "compiler/import/onnx/node.h"
#include "compiler/import/onnx/op_table.h"

namespace kiln::onnx_import {

namespace {

using onnx::AttributeProto;
using onnx::GraphProto;
using onnx::NodeProto;

// Functions may call functions twice each, so a small file can mean very many nodes.
constexpr int64_t kMaxNodes = 200'000;
constexpr int kMaxDepth = 64;

using AttributeValues = std::map<std::string, const AttributeProto*>;

// Replaces attributes that refer to the function's own (those in subgraphs too); one that the call
// does not give and that has no default goes, so that the operator's default holds.
void BindAttributes(NodeProto* root, const AttributeValues& values) {
  std::vector<NodeProto*> pending = {root};
  while (!pending.empty()) {
    NodeProto* const node = pending.back();
    pending.pop_back();
    auto* const attributes = node->mutable_attribute();
    for (int i = attributes->size(); i-- > 0;) {
      AttributeProto& attribute = *attributes->Mutable(i);
      if (!attribute.ref_attr_name().empty()) {
        const auto it = values.find(attribute.ref_attr_name());
        if (it == values.end()) {
          attributes->DeleteSubrange(i, 1);
          continue;
        }
        const std::string name = attribute.name();
        attribute = *it->second;
        attribute.set_name(name);
      }
      if (!attribute.has_g()) continue;
      for (NodeProto& inner : *attribute.mutable_g()->mutable_node()) pending.push_back(&inner);
    }
  }
}

/// Counts the bodies that are being inlined within each other.
class DepthGuard {
 public:
  explicit DepthGuard(int* depth) : depth_(depth) { ++*depth_; }
  ~DepthGuard() { --*depth_; }
  DepthGuard(const DepthGuard&) = delete;
  DepthGuard& operator=(const DepthGuard&) = delete;
  bool too_deep() const { return *depth_ > kMaxDepth; }

 private:
  int* depth_;
};

AttributeValues CallAttributes(const NodeProto& call, const onnx::FunctionProto& function) {
  AttributeValues values;
  for (const auto& attribute : function.attribute_proto()) values[attribute.name()] = &attribute;
  for (const auto& attribute : call.attribute()) values[attribute.name()] = &attribute;
  return values;
}

// An element of a sequence that the graph takes or gives.
std::string ElementName(const std::string& sequence, int64_t i) {
  return StrCat(sequence, "[", i, "]");
}

// What the ops that a node becomes are called at first; those that give its results are renamed.
std::string PartName(const NodeProto& node) {
  const std::string& output = node.output_size() > 0 ? node.output(0) : node.name();
  return SsaName(output + ".part");
}

}  // namespace

Status Value::CheckTensor() const {
  if (kind == Kind::kSequence) return InvalidInput("is a sequence, expected a tensor");
  if (kind == Kind::kAbsent) return InvalidInput("is an optional that is absent");
  return OkStatus();
}

Value* Scope::Find(const std::string& name) {
  for (Scope* scope = this; scope != nullptr; scope = scope->outer) {
    const auto it = scope->values.find(name);
    if (it != scope->values.end()) return &it->second;
  }
  return nullptr;
}

StatusOr<Op*> GraphImporter::ToOp(Value* value) {
  if (value->op != nullptr) return value->op;
  KILN_RETURN_IF_ERROR(value->CheckTensor());
  if (value->kind == Value::Kind::kConstant) {
    KILN_ASSIGN_OR_RETURN(value->op, builder_.Constant(value->tensor));
    builder_.Rename(value->op, value->name);
    return value->op;
  }
  Module* const module = builder_.graph()->module();
  Parameter parameter{UniqueParameterName(*module, value->name), value->tensor};
  parameter.trainable = IsFloat(value->tensor.type().element);
  module->SetParameter(parameter);
  KILN_ASSIGN_OR_RETURN(value->op, builder_.Parameter(parameter.name));
  builder_.Rename(value->op, parameter.name);
  return value->op;
}

StatusOr<Tensor> GraphImporter::ValueOf(const Value& value, KnownValues::Inputs inputs) {
  KILN_RETURN_IF_ERROR(value.CheckTensor());
  if (value.kind != Value::Kind::kOp) return value.tensor;
  return known_values_.Find(value.op, inputs);
}

void GraphImporter::Freeze(const Value& value) {
  if (value.op == nullptr || !value.op->Is("parameter")) return;
  Module* const module = builder_.graph()->module();
  Parameter parameter = *module->FindParameter(value.op->String("name"));
  parameter.trainable = false;
  module->SetParameter(std::move(parameter));
}

StatusOr<TensorType> GraphImporter::InputType(const std::string& name,
                                              const onnx::TypeProto::Tensor& tensor) const {
  KILN_ASSIGN_OR_RETURN(const ElementType element, ToHeldType(tensor.elem_type()));
  const auto given = options_.input_shapes.find(name);
  const bool has_given = given != options_.input_shapes.end();
  if (!tensor.has_shape() && !has_given) {
    return InvalidInput("the input's shape is open; give it");
  }
  Shape shape = has_given ? given->second : Shape();
  if (tensor.has_shape()) {
    const int rank = tensor.shape().dim_size();
    if (has_given && static_cast<int>(shape.size()) != rank) {
      return InvalidInput("the shape given, ", FormatInts(shape), ", must have ", rank,
                          " dimensions");
    }
    shape.resize(rank);
    for (int d = 0; d < rank; ++d) {
      const auto& dim = tensor.shape().dim(d);
      if (dim.has_dim_value()) {
        if (has_given && shape[d] != dim.dim_value()) {
          return InvalidInput("the shape given, ", FormatInts(shape), ", must have ",
                              dim.dim_value(), " in dimension ", d);
        }
        shape[d] = dim.dim_value();
      } else if (!has_given && d == 0 && options_.batch) {
        shape[d] = *options_.batch;
      } else if (!has_given) {
        return InvalidInput("dimension ", d,
                            dim.has_dim_param() ? " '" + Printable(dim.dim_param()) + "'" : "",
                            " of the input's shape is open; give it");
      }
    }
  }
  KILN_RETURN_IF_ERROR(CheckedByteSize(element, shape).status());
  return TensorType{element, std::move(shape), {}};
}

Status GraphImporter::CheckInputOptions(const GraphProto& graph) const {
  std::set<std::string> names;
  for (const auto& input : graph.input()) names.insert(input.name());
  for (const auto& [name, length] : options_.sequence_lengths) {
    for (int64_t i = 0; i < length; ++i) names.insert(ElementName(name, i));
  }
  for (const auto& [name, shape] : options_.input_shapes) {
    if (!names.contains(name)) return InvalidInput("the model has no input '", name, "'");
  }
  return OkStatus();
}

StatusOr<Value> GraphImporter::MakeInput(const std::string& name, const onnx::TypeProto& type) {
  constexpr int64_t kMaxLength = 1 << 16;
  const auto given = options_.sequence_lengths.find(name);
  const bool has_length = given != options_.sequence_lengths.end();
  if (type.has_optional_type()) {
    if (has_length && given->second == 0) return Value::Absent();
    const onnx::TypeProto& held = type.optional_type().elem_type();
    if (!has_length && held.has_tensor_type() && !options_.input_shapes.contains(name)) {
      return InvalidInput("whether the optional input is there is open; give its shape");
    }
    return MakeInput(name, held);
  }
  if (!type.has_sequence_type()) {
    KILN_ASSIGN_OR_RETURN(TensorType tensor, InputType(name, type.tensor_type()));
    KILN_ASSIGN_OR_RETURN(Op* const op, builder_.Input(name, std::move(tensor)));
    return Value::FromOp(op, FindNarrowType(type.tensor_type().elem_type()));
  }
  if (!has_length) return Unsupported("the length of the sequence is open");
  if (given->second < 0 || given->second > kMaxLength) {
    return InvalidInput("a sequence cannot have ", given->second, " elements");
  }
  std::vector<Op*> elements;
  for (int64_t i = 0; i < given->second; ++i) {
    KILN_ASSIGN_OR_RETURN(const Value element,
                          MakeInput(ElementName(name, i), type.sequence_type().elem_type()));
    if (element.op == nullptr) return Unsupported("only sequences of tensors are supported");
    if (element.narrow != nullptr) {
      return Unsupported("sequences of ", DataTypeName(element.narrow->data_type),
                         " are not supported");
    }
    elements.push_back(element.op);
  }
  return Value::Sequence(std::move(elements));
}

Status GraphImporter::MakeInputs(const GraphProto& graph, Scope& scope) {
  for (const auto& input : graph.input()) {
    if (input.name().empty()) return InvalidInput("an input has no name");
    if (const Value* const value = scope.Find(input.name()); value != nullptr) {
      // Before IR version 4, initializers are inputs too: defaults, which we take as given.
      if (value->kind == Value::Kind::kInitializer) continue;
      return InvalidInput("input '", Printable(input.name()), "' is defined more than once");
    }
    scope.Define(input.name(), Value());
    auto made = MakeInput(input.name(), input.type());
    if (!made.ok()) {
      problems_.Add(Printable(input.name()), made.status());
      continue;
    }
    scope.Define(input.name(), *std::move(made));
  }
  return OkStatus();
}

Status GraphImporter::MakeInitializers(GraphProto* graph, Scope& scope) {
  for (auto& proto : *graph->mutable_initializer()) {
    const std::string name = proto.name();
    if (name.empty()) return InvalidInput("an initializer has no name");
    if (scope.values.contains(name)) {
      return InvalidInput("initializer '", Printable(name), "' is defined more than once");
    }
    auto tensor = ToTensor(&proto, &external_data_);
    if (!tensor.ok()) return Annotate(tensor.status(), Printable(name));
    scope.Define(name,
                 Value::Initializer(name, *std::move(tensor), FindNarrowType(proto.data_type())));
  }
  for (auto& proto : *graph->mutable_sparse_initializer()) {
    const std::string name = proto.values().name();
    if (scope.values.contains(name)) {
      return InvalidInput("initializer '", Printable(name), "' is defined more than once");
    }
    auto tensor = ToTensor(&proto, &external_data_);
    if (!tensor.ok()) return Annotate(tensor.status(), Printable(name));
    scope.Define(name, Value::Initializer(name, *std::move(tensor),
                                          FindNarrowType(proto.values().data_type())));
  }
  return OkStatus();
}

Status GraphImporter::ImportNodes(const Nodes& nodes, Scope& scope) {
  std::set<std::string> defined;
  for (const auto& [name, value] : scope.values) defined.insert(name);
  KILN_ASSIGN_OR_RETURN(const auto order, SortNodes(nodes, defined));
  nodes_ += nodes.size();
  if (nodes_ > kMaxNodes) {
    return Unsupported("the model has more than ", kMaxNodes, " nodes");
  }
  for (const NodeProto* const node : order) {
    const Status status = ImportNode(*node, scope);
    if (status.ok()) continue;
    problems_.Add(NodeLabel(*node), status);
    for (const std::string& name : node->output()) scope.Define(name, Value());
  }
  return OkStatus();
}

Status GraphImporter::ImportNode(const NodeProto& node, Scope& scope) {
  bool poisoned = false;
  for (const std::string& name : node.input()) {
    if (name.empty()) continue;
    const Value* const value = scope.Find(name);
    if (value == nullptr) {
      return InvalidInput("input '", Printable(name), "' is not defined");
    }
    poisoned |= value->poisoned();
  }
  if (poisoned) {
    for (const std::string& name : node.output()) scope.Define(name, Value());
    return OkStatus();
  }
  if (const auto it = functions_.find(CalleeKey(node)); it != functions_.end()) {
    return ImportCall(node, *it->second, scope);
  }
  return ImportOperator(node, scope);
}

Status GraphImporter::CheckNarrow(const NodeProto& node, const OnnxOp& op, Scope& scope) const {
  if (op.on_narrow != OnNarrow::kRefuse) return OkStatus();
  for (const std::string& name : node.input()) {
    const Value* const value = name.empty() ? nullptr : scope.Find(name);
    if (value == nullptr || value->narrow == nullptr) continue;
    return Unsupported("operator ", op.name, " of ", DataTypeName(value->narrow->data_type),
                       " is not supported");
  }
  return OkStatus();
}

Status GraphImporter::ImportOperator(const NodeProto& proto, Scope& scope) {
  const OnnxOp* const op = FindOnnxOp(OperatorName(proto));
  const auto opset = scope.opsets->find(NormalDomain(proto.domain()));
  if (op == nullptr || opset == scope.opsets->end()) {
    return InternalError("preflight let operator ", proto.op_type(), " pass");
  }
  KILN_RETURN_IF_ERROR(CheckNarrow(proto, *op, scope));
  NameOps(proto);
  Node node(this, &scope, proto, *op, static_cast<int>(opset->second));
  KILN_RETURN_IF_ERROR(op->handler(node));
  if (op->on_narrow == OnNarrow::kPassOn && node.Has(0) && node.Wants(0)) {
    scope.values[proto.output(0)].narrow = scope.Find(proto.input(0))->narrow;
  }
  for (const std::string& name : proto.output()) {
    if (name.empty()) continue;
    const auto it = scope.values.find(name);
    if (it == scope.values.end()) {
      return Unsupported("result '", Printable(name), "' of operator ", op->name,
                         " is not supported");
    }
    NameResult(name, it->second, PartName(proto));
  }
  return OkStatus();
}

void GraphImporter::NameOps(const NodeProto& node) {
  builder_.SetSources({NodeLabel(node)});
  builder_.SetNameHint(PartName(node));
}

void GraphImporter::NameResult(const std::string& name, const Value& value,
                               const std::string& part) {
  // Not when the node passes on an op that stands for another value.
  if (value.op != nullptr && value.op->name().starts_with(part)) builder_.Rename(value.op, name);
}

Status GraphImporter::ImportCall(const NodeProto& call, const onnx::FunctionProto& function,
                                 Scope& scope) {
  const DepthGuard guard(&depth_);
  if (guard.too_deep()) return Unsupported("functions call each other too deep");
  KILN_ASSIGN_OR_RETURN(const Opsets opsets, ReadOpsets(function.opset_import()));
  Scope inner;
  inner.opsets = &opsets;
  for (int i = 0; i < function.input_size(); ++i) {
    if (i >= call.input_size() || call.input(i).empty()) continue;
    Value* const value = scope.Find(call.input(i));
    // As an op first, so that a parameter is not made once here and once there.
    if (value->CheckTensor().ok()) KILN_RETURN_IF_ERROR(ToOp(value).status());
    inner.Define(function.input(i), *value);
  }
  const AttributeValues attributes = CallAttributes(call, function);
  Nodes nodes = function.node();
  for (NodeProto& node : nodes) {
    BindAttributes(&node, attributes);
    // Operands of the function that the call leaves out.
    for (std::string& name : *node.mutable_input()) {
      if (std::find(function.input().begin(), function.input().end(), name) !=
              function.input().end() &&
          !inner.values.contains(name)) {
        name.clear();
      }
    }
  }
  KILN_RETURN_IF_ERROR(ImportNodes(nodes, inner));
  for (int i = 0; i < function.output_size() && i < call.output_size(); ++i) {
    Value* const value = inner.Find(function.output(i));
    if (value == nullptr) {
      return InvalidInput("function '", Printable(function.name()),
                          "' does not define its output '", Printable(function.output(i)), "'");
    }
    scope.Define(call.output(i), *value);
  }
  return OkStatus();
}

StatusOr<Scope> GraphImporter::OpenBody(const GraphProto& body, Scope& outer) {
  Scope scope;
  scope.outer = &outer;
  scope.opsets = outer.opsets;
  GraphProto copy;
  *copy.mutable_initializer() = body.initializer();
  *copy.mutable_sparse_initializer() = body.sparse_initializer();
  KILN_RETURN_IF_ERROR(MakeInitializers(&copy, scope));
  return scope;
}

StatusOr<std::vector<Value>> GraphImporter::ImportBody(const GraphProto& body, Scope& scope,
                                                       const std::vector<Value>& inputs) {
  const DepthGuard guard(&depth_);
  if (guard.too_deep()) return Unsupported("subgraphs are nested too deep");
  if (body.input_size() != static_cast<int>(inputs.size())) {
    return InvalidInput("the subgraph has ", body.input_size(), " inputs, expected ",
                        static_cast<int64_t>(inputs.size()));
  }
  Scope inner;
  inner.outer = &scope;
  inner.opsets = scope.opsets;
  for (size_t i = 0; i < inputs.size(); ++i) {
    inner.Define(body.input(static_cast<int>(i)).name(), inputs[i]);
  }
  KILN_RETURN_IF_ERROR(ImportNodes(body.node(), inner));
  std::vector<Value> results;
  for (const auto& output : body.output()) {
    Value* const value = inner.Find(output.name());
    if (value == nullptr) {
      return InvalidInput("output '", Printable(output.name()), "' of the subgraph is not defined");
    }
    if (!value->poisoned() && value->CheckTensor().ok()) {
      KILN_RETURN_IF_ERROR(ToOp(value).status());
    }
    if (value->narrow != nullptr) {
      return Unsupported("a subgraph's result of ", DataTypeName(value->narrow->data_type),
                         " is not supported");
    }
    results.push_back(*value);
  }
  return results;
}

Status GraphImporter::MakeOutputs(const GraphProto& graph, Scope& scope) {
  if (graph.output_size() == 0) return InvalidInput("the graph has no outputs");
  std::set<std::string> names;
  for (const auto& output : graph.output()) {
    if (!names.insert(output.name()).second) {
      return InvalidInput("output '", Printable(output.name()), "' is defined more than once");
    }
    Value* const value = scope.Find(output.name());
    if (value == nullptr) {
      return InvalidInput("output '", Printable(output.name()), "' is not defined");
    }
    if (value->poisoned() || value->kind == Value::Kind::kAbsent) continue;
    builder_.SetSources({Printable(output.name())});
    builder_.SetNameHint(output.name());
    if (value->is_sequence()) {
      for (size_t i = 0; i < value->elements.size(); ++i) {
        builder_.graph()->AddOutput(ElementName(output.name(), static_cast<int64_t>(i)),
                                    value->elements[i]);
      }
      continue;
    }
    KILN_ASSIGN_OR_RETURN(Op* const op, ToOp(value));
    builder_.graph()->AddOutput(output.name(), op);
  }
  return OkStatus();
}

Status GraphImporter::Import(GraphProto* graph, const Opsets& opsets) {
  Scope scope;
  scope.opsets = &opsets;
  KILN_RETURN_IF_ERROR(CheckInputOptions(*graph));
  KILN_RETURN_IF_ERROR(MakeInitializers(graph, scope));
  KILN_RETURN_IF_ERROR(MakeInputs(*graph, scope));
  KILN_RETURN_IF_ERROR(ImportNodes(graph->node(), scope));
  if (const Status status = MakeOutputs(*graph, scope); !status.ok()) problems_.Add("", status);
  return problems_.ToStatus();
}

}  // namespace kiln::onnx_import
