#include "compiler/import/mxnet/symbol_importer.h"

#include <algorithm>

#include "compiler/import/mxnet/node.h"
#include "compiler/import/mxnet/op_table.h"

namespace kiln::mxnet_import {

namespace {

constexpr const char* kVariable = "null";

Shape WithoutLeadingOnes(Shape shape) {
  const auto first = std::ranges::find_if(shape, [](int64_t extent) { return extent != 1; });
  shape.erase(shape.begin(), first);
  return shape;
}

void CheckNode(const SymbolNode& node, ProblemList& problems) {
  const std::string label = Printable(node.name);
  const MxnetOp* const op = FindMxnetOp(node.op);
  if (op == nullptr) {
    return problems.Add(label, Unsupported("operator ", Printable(node.op), " is not supported"));
  }
  for (const auto& [name, value] : node.attributes) {
    if (IsHint(name) || std::ranges::count(op->attributes, name) > 0) continue;
    problems.Add(label, Unsupported("attribute '", Printable(name), "' of operator ", op->name,
                                    " is not supported"));
  }
  const Status count = CheckCount("inputs", static_cast<int>(node.inputs.size()), op->inputs);
  if (!count.ok()) problems.Add(label, count);
}

}  // namespace

std::string ValueName(const SymbolNode& node, int i) {
  return i == 0 ? node.name : StrCat(node.name, "_output", i);
}

Status Preflight(const Symbol& symbol) {
  ProblemList problems;
  for (const SymbolNode& node : symbol.nodes) {
    if (node.op != kVariable) CheckNode(node, problems);
  }
  return problems.ToStatus();
}

Status SymbolImporter::MakeInput(const SymbolNode& node) {
  inputs_.insert(node.name);
  ElementType element = ElementType::kF32;
  if (const auto it = node.attributes.find("__dtype__"); it != node.attributes.end()) {
    int64_t flag = 0;
    // -1 leaves it open.
    if (ParseInt(it->second, &flag) && flag >= 0) {
      KILN_ASSIGN_OR_RETURN(element, ToElementType(flag));
    }
  }
  std::optional<Shape> declared;
  if (node.attributes.contains("__shape__")) {
    const MxnetOp none;
    Node reader(this, node, none);
    Shape shape = reader.Ints("__shape__");
    KILN_RETURN_IF_ERROR(reader.Problem());
    for (int64_t& extent : shape) extent = extent == 0 ? -1 : extent;
    if (!shape.empty()) declared = std::move(shape);
  }
  KILN_ASSIGN_OR_RETURN(const Shape shape, InputShape(node.name, declared, values_.options()));
  return values_.SetInput(node.name, {element, shape, {}});
}

StatusOr<Op*> SymbolImporter::Input(const Entry& entry) {
  const SymbolNode& node = symbol_.nodes[entry.node];
  const std::string name = ValueName(node, entry.index);
  if (node.op == kVariable && !values_.Has(name)) {
    const auto found = arrays_.find(name);
    if (found != arrays_.end() && found->second.tensor.known()) {
      values_.SetParameter(name, found->second.tensor, !found->second.auxiliary);
    } else {
      KILN_RETURN_IF_ERROR(Annotate(MakeInput(node), StrCat("input '", Printable(name), "'")));
    }
  }
  return values_.Get(name);
}

StatusOr<Op*> SymbolImporter::Weight(const Entry& entry, const Shape& shape, bool trainable) {
  const SymbolNode& node = symbol_.nodes[entry.node];
  const std::string& name = node.name;
  const bool variable = node.op == kVariable;
  if (variable && !values_.Has(name)) {
    const TensorType type{ElementType::kF32, shape, {}};
    KILN_RETURN_IF_ERROR(CheckedByteSize(type).status());
    const auto found = arrays_.find(name);
    if (found == arrays_.end()) {
      values_.SetParameter(name, Tensor::Unknown(type, ContentHash(name)), trainable);
    } else {
      const Tensor& tensor = found->second.tensor;
      if (WithoutLeadingOnes(tensor.shape()) != WithoutLeadingOnes(shape)) {
        return InvalidInput("weight '", Printable(name), "' is ", FormatInts(tensor.shape()),
                            ", expected ", FormatInts(shape));
      }
      values_.SetParameter(name, tensor.Reshaped(shape), trainable && !found->second.auxiliary);
    }
  }
  KILN_ASSIGN_OR_RETURN(Op* const op, values_.Get(ValueName(node, entry.index)));
  if (op->shape() == shape) return op;
  return InvalidInput("weight '", Printable(name), "' is ", FormatInts(op->shape()), ", expected ",
                      FormatInts(shape));
}

Status SymbolImporter::ImportNode(const SymbolNode& node) {
  for (const Entry& entry : node.inputs) {
    if (values_.IsPoisoned(ValueName(symbol_.nodes[entry.node], entry.index))) {
      for (int i = 0; i < 2; ++i) values_.Poison(ValueName(node, i));
      return OkStatus();
    }
  }
  KILN_RETURN_IF_ERROR(values_.CheckSize());
  values_.BeginNode(node.name, node.name);
  Node view(this, node, *FindMxnetOp(node.op));
  return view.op().handler(view);
}

// MXNet calls the outputs NAME_output, or NAME_output0, NAME_output1, ... where there are several.
Status SymbolImporter::MakeOutputs() {
  Graph* const graph = values_.builder().graph();
  std::set<std::string> names;
  for (const Entry& head : symbol_.heads) {
    const SymbolNode& node = symbol_.nodes[head.node];
    const std::string value = ValueName(node, head.index);
    if (values_.IsPoisoned(value)) continue;
    KILN_ASSIGN_OR_RETURN(Op* const op, Input(head));
    std::string name = node.op == kVariable ? node.name : node.name + "_output";
    if (head.index > 0) name += StrCat(head.index);
    if (names.insert(name).second) graph->AddOutput(name, op);
  }
  if (graph->outputs().empty() && problems_.empty()) {
    return InvalidInput("the symbol has no outputs");
  }
  return OkStatus();
}

Status SymbolImporter::Import() {
  for (const SymbolNode& node : symbol_.nodes) {
    if (node.op == kVariable) continue;
    const Status status = ImportNode(node);
    if (status.ok()) continue;
    problems_.Add(Printable(node.name), status);
    values_.Poison(node.name);
  }
  if (const Status status = MakeOutputs(); !status.ok()) problems_.Add("", status);
  for (const auto& [name, shape] : values_.options().input_shapes) {
    if (!inputs_.contains(name)) {
      problems_.Add("", InvalidInput("the model has no input '", name, "'"));
    }
  }
  return problems_.ToStatus();
}

}  // namespace kiln::mxnet_import
