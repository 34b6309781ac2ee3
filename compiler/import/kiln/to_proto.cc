#include "compiler/import/kiln/convert.h"
#include "ir/graph/equal.h"
#include "ir/graph/op_def.h"
#include "ir/graph/printer.h"

namespace kiln {

namespace {

void SetLayout(const Layout& layout, native::Layout* proto) {
  for (const int dim : layout.order) proto->add_order(dim);
  for (const Layout::Block& block : layout.blocks) {
    native::Layout::Block* const added = proto->add_blocks();
    added->set_dim(block.dim);
    added->set_size(block.size);
  }
  for (const Layout::Padding& around : layout.padding) {
    native::Layout::Padding* const added = proto->add_padding();
    added->set_dim(around.dim);
    added->set_low(around.low);
    added->set_high(around.high);
  }
}

void SetType(const TensorType& type, native::TensorType* proto) {
  proto->set_element(std::string(Name(type.element)));
  for (const int64_t extent : type.shape) proto->add_shape(extent);
  if (!type.layout.IsRowMajor()) SetLayout(type.layout, proto->mutable_layout());
}

class ModuleWriter {
 public:
  explicit ModuleWriter(bool inline_all) : inline_all_(inline_all) {}

  void SetTensor(const Tensor& tensor, native::Tensor* proto) const {
    SetType(tensor.type(), proto->mutable_type());
    if (tensor.known() && (inline_all_ || IsInline(tensor))) {
      proto->set_inline_(tensor.bytes().data(), tensor.bytes().size());
    } else {
      proto->set_hash(tensor.hash());
    }
  }

  void SetGraph(const Graph& graph, native::Graph* proto) const {
    proto->set_name(graph.name());
    for (const Op* const input : graph.inputs()) {
      native::Input* const added = proto->add_inputs();
      added->set_name(input->name());
      for (const std::string& source : input->sources()) added->add_sources(source);
      SetType(input->type(), added->mutable_type());
    }
    for (const auto& op : graph.ops()) {
      if (!op->Is("input")) SetOp(*op, proto->add_ops());
    }
    for (const Graph::Output& output : graph.outputs()) {
      native::Output* const added = proto->add_outputs();
      added->set_name(output.name);
      added->set_value(output.value->name());
      if (output.update) added->set_update(true);
    }
  }

 private:
  void SetOp(const Op& op, native::Op* proto) const {
    proto->set_kind(op.kind());
    proto->set_name(op.name());
    for (const Op* const operand : op.operands()) proto->add_operands(operand->name());
    for (const AttributeDef& def : op.def().attributes) {
      const Attribute& value = op.attribute(def.name);
      if (def.default_value && Equal(value, *def.default_value)) continue;
      native::Attribute* const added = proto->add_attributes();
      added->set_name(def.name);
      SetAttribute(value, added);
    }
    SetType(op.type(), proto->mutable_type());
    for (const std::string& source : op.sources()) proto->add_sources(source);
    if (op.body() != nullptr) SetGraph(*op.body(), proto->mutable_body());
  }

  void SetAttribute(const Attribute& value, native::Attribute* proto) const {
    switch (value.kind()) {
      case Attribute::Kind::kBool: return proto->set_bool_value(value.as<bool>());
      case Attribute::Kind::kInt: return proto->set_int_value(value.as<int64_t>());
      case Attribute::Kind::kDouble: return proto->set_double_value(value.as<double>());
      case Attribute::Kind::kString: return proto->set_string_value(value.as<std::string>());
      case Attribute::Kind::kElementType:
        return proto->set_element_type(std::string(Name(value.as<ElementType>())));
      case Attribute::Kind::kLayout: return SetLayout(value.as<Layout>(), proto->mutable_layout());
      case Attribute::Kind::kTensor: return SetTensor(value.as<Tensor>(), proto->mutable_tensor());
      case Attribute::Kind::kInts: {
        const auto& values = value.as<std::vector<int64_t>>();
        proto->mutable_ints()->mutable_values()->Assign(values.begin(), values.end());
        return;
      }
      case Attribute::Kind::kDoubles: {
        const auto& values = value.as<std::vector<double>>();
        proto->mutable_doubles()->mutable_values()->Assign(values.begin(), values.end());
        return;
      }
    }
  }

  const bool inline_all_;
};

}  // namespace

void ModuleToProto(const Module& module, bool inline_all, native::Model* model) {
  const ModuleWriter writer(inline_all);
  model->set_name(module.name);
  for (const auto& [key, value] : module.metadata) {
    native::MetadataEntry* const entry = model->add_metadata();
    entry->set_key(key);
    entry->set_value(value);
  }
  for (const auto& [name, parameter] : module.parameters()) {
    native::Parameter* const added = model->add_parameters();
    added->set_name(name);
    added->set_frozen(!parameter.trainable);
    writer.SetTensor(parameter.value, added->mutable_value());
  }
  for (const auto& function : module.functions()) {
    writer.SetGraph(*function, model->add_functions());
  }
}

}  // namespace kiln
