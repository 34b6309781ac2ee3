#include <set>
#include <unordered_map>

#include "compiler/import/kiln/convert.h"
#include "ir/graph/builder.h"
#include "ir/graph/op_def.h"

namespace kiln {

namespace {

// An input's sources are kept in a list that is searched when one is added.
constexpr int kMaxSources = 4096;

StatusOr<Layout> GetLayout(const native::Layout& proto) {
  if (proto.order_size() > kMaxRank || proto.blocks_size() > kMaxRank ||
      proto.padding_size() > kMaxRank) {
    return InvalidInput("a layout has at most ", kMaxRank, " dimensions, blocks and paddings");
  }
  Layout layout;
  layout.order.assign(proto.order().begin(), proto.order().end());
  for (const auto& block : proto.blocks()) layout.blocks.push_back({block.dim(), block.size()});
  for (const auto& around : proto.padding()) {
    layout.padding.push_back({around.dim(), around.low(), around.high()});
  }
  return layout;
}

StatusOr<ElementType> GetElement(const std::string& name) {
  const auto element = ParseElementType(name);
  if (!element) return InvalidInput("there is no element type ", Quote(name));
  return *element;
}

StatusOr<TensorType> GetType(const native::TensorType& proto) {
  TensorType type;
  KILN_ASSIGN_OR_RETURN(type.element, GetElement(proto.element()));
  type.shape.assign(proto.shape().begin(), proto.shape().end());
  if (proto.has_layout()) {
    KILN_ASSIGN_OR_RETURN(type.layout, GetLayout(proto.layout()));
  }
  KILN_RETURN_IF_ERROR(CheckedByteSize(type).status());
  return type;
}

template <typename Strings>
std::vector<std::string> ToVector(const Strings& strings) {
  return {strings.begin(), strings.end()};
}

class ModuleReader {
 public:
  explicit ModuleReader(const SideFile* side_file)
      : side_file_(side_file), module_(std::make_unique<Module>()) {}

  StatusOr<std::unique_ptr<Module>> Read(const native::Model& model) {
    module_->name = model.name();
    for (const auto& entry : model.metadata()) module_->metadata[entry.key()] = entry.value();
    for (const auto& parameter : model.parameters()) {
      KILN_RETURN_IF_ERROR(
          Annotate(ReadParameter(parameter), "parameter " + Quote(parameter.name())));
    }
    std::set<std::string> names;
    for (const auto& function : model.functions()) {
      if (!names.insert(function.name()).second) {
        return InvalidInput("there are two functions @", function.name());
      }
      Graph* const graph = module_->AddFunction(function.name());
      KILN_RETURN_IF_ERROR(Annotate(ReadGraph(function, graph, 0), "@" + function.name()));
    }
    return std::move(module_);
  }

 private:
  using Scope = std::unordered_map<std::string, Op*>;

  Status ReadParameter(const native::Parameter& proto) {
    if (module_->FindParameter(proto.name()) != nullptr) {
      return InvalidInput("there is a parameter of this name already");
    }
    KILN_ASSIGN_OR_RETURN(Tensor value, GetTensor(proto.value()));
    module_->SetParameter({proto.name(), std::move(value), !proto.frozen()});
    return OkStatus();
  }

  StatusOr<Tensor> GetTensor(const native::Tensor& proto) const {
    KILN_ASSIGN_OR_RETURN(TensorType type, GetType(proto.type()));
    if (proto.has_hash()) return ReadSideTensor(side_file_, type, proto.hash());
    const std::string& bytes = proto.inline_();
    if (static_cast<int64_t>(bytes.size()) != type.bytes()) {
      return InvalidInput("expected ", type.bytes(), " bytes for ", type.ToString(), ", found ",
                          bytes.size());
    }
    return Tensor(std::move(type), std::vector<char>(bytes.begin(), bytes.end()));
  }

  Status ReadGraph(const native::Graph& proto, Graph* graph, int depth) {
    Scope scope;
    std::set<std::string> input_names;
    for (const auto& input : proto.inputs()) {
      KILN_RETURN_IF_ERROR(
          Annotate(ReadInput(input, graph, scope, input_names), "input %" + input.name()));
    }
    for (const auto& op : proto.ops()) {
      KILN_RETURN_IF_ERROR(Annotate(ReadOp(op, graph, scope, depth), "%" + op.name()));
    }
    std::set<std::pair<bool, std::string>> output_names;
    for (const auto& output : proto.outputs()) {
      if (!output_names.emplace(output.update(), output.name()).second) {
        return InvalidInput("there are two outputs ", Quote(output.name()));
      }
      KILN_ASSIGN_OR_RETURN(Op* const value, Find(scope, output.value()));
      if (output.update()) {
        KILN_RETURN_IF_ERROR(CheckUpdate(*module_, {output.name(), value, true}));
        graph->AddUpdate(output.name(), value);
      } else {
        graph->AddOutput(output.name(), value);
      }
    }
    return OkStatus();
  }

  static StatusOr<Op*> Find(const Scope& scope, const std::string& name) {
    const auto it = scope.find(name);
    if (it == scope.end()) return InvalidInput("expected an earlier value, found %", name);
    return it->second;
  }

  // Files the op under its name, which the builder must have kept.
  static Status Define(const std::string& name, Op* op, Scope& scope) {
    if (op->name() != name) return InvalidInput("the name is taken or has forbidden characters");
    scope.emplace(name, op);
    return OkStatus();
  }

  static Status ReadInput(const native::Input& proto, Graph* graph, Scope& scope,
                          std::set<std::string>& public_names) {
    if (proto.sources_size() > kMaxSources) {
      return InvalidInput("has more than ", kMaxSources, " sources");
    }
    const std::string& public_name = proto.sources_size() > 0 ? proto.sources(0) : proto.name();
    if (!public_names.insert(public_name).second) {
      return InvalidInput("there are two inputs ", Quote(public_name));
    }
    KILN_ASSIGN_OR_RETURN(TensorType type, GetType(proto.type()));
    Builder builder(graph);
    builder.SetNameHint(proto.name());
    KILN_ASSIGN_OR_RETURN(Op* const op, builder.Input(public_name, std::move(type)));
    op->AddSources(ToVector(proto.sources()));
    return Define(proto.name(), op, scope);
  }

  Status ReadOp(const native::Op& proto, Graph* graph, Scope& scope, int depth) {
    std::vector<Op*> operands;
    for (const std::string& operand : proto.operands()) {
      KILN_ASSIGN_OR_RETURN(operands.emplace_back(), Find(scope, operand));
    }
    AttributeMap attributes;
    for (const auto& attribute : proto.attributes()) {
      KILN_ASSIGN_OR_RETURN(Attribute value, GetAttribute(attribute));
      if (!attributes.emplace(attribute.name(), std::move(value)).second) {
        return InvalidInput("there are two attributes ", Quote(attribute.name()));
      }
    }
    Builder builder(graph);
    builder.SetNameHint(proto.name());
    builder.SetSources(ToVector(proto.sources()));
    StatusOr<Op*> op = nullptr;
    if (proto.has_body()) {
      KILN_ASSIGN_OR_RETURN(auto body, ReadBody(proto.body(), depth + 1));
      op = builder.MakeRegion(proto.kind(), operands, std::move(body), std::move(attributes));
    } else {
      op = builder.Make(proto.kind(), {operands.begin(), operands.end()}, std::move(attributes));
    }
    KILN_RETURN_IF_ERROR(op.status());
    KILN_RETURN_IF_ERROR(TakeType(proto, **op));
    return Define(proto.name(), *op, scope);
  }

  /// Checks the type, if the file has it, against the inferred one. A computed value may lie in any
  /// layout; a leaf or a relayout has its own.
  static Status TakeType(const native::Op& proto, Op& op) {
    if (!proto.has_type()) return OkStatus();
    KILN_ASSIGN_OR_RETURN(const TensorType type, GetType(proto.type()));
    if (!op.HasTrait(kLeaf) && !op.attributes().contains("layout")) op.SetLayout(type.layout);
    if (type == op.type()) return OkStatus();
    return InvalidInput("expected ", op.type().ToString(), " (the inferred type), found ",
                        type.ToString());
  }

  StatusOr<std::unique_ptr<Graph>> ReadBody(const native::Graph& proto, int depth) {
    if (depth > kMaxRegionDepth) {
      return InvalidInput("bodies nest more than ", kMaxRegionDepth, " deep");
    }
    auto body = std::make_unique<Graph>(module_.get(), proto.name());
    KILN_RETURN_IF_ERROR(ReadGraph(proto, body.get(), depth));
    return body;
  }

  StatusOr<Attribute> GetAttribute(const native::Attribute& proto) const {
    switch (proto.value_case()) {
      case native::Attribute::kBoolValue: return Attribute(proto.bool_value());
      case native::Attribute::kIntValue: return Attribute(int64_t{proto.int_value()});
      case native::Attribute::kDoubleValue: return Attribute(proto.double_value());
      case native::Attribute::kStringValue: return Attribute(proto.string_value());
      case native::Attribute::kInts: {
        const auto& values = proto.ints().values();
        return Attribute(std::vector<int64_t>(values.begin(), values.end()));
      }
      case native::Attribute::kDoubles: {
        const auto& values = proto.doubles().values();
        return Attribute(std::vector<double>(values.begin(), values.end()));
      }
      case native::Attribute::kElementType: return GetElement(proto.element_type());
      case native::Attribute::kLayout: return GetLayout(proto.layout());
      case native::Attribute::kTensor: return GetTensor(proto.tensor());
      case native::Attribute::VALUE_NOT_SET: break;
    }
    return InvalidInput("the attribute ", Quote(proto.name()), " has no value");
  }

  const SideFile* const side_file_;
  std::unique_ptr<Module> module_;
};

}  // namespace

StatusOr<std::unique_ptr<Module>> ModuleFromProto(const native::Model& model,
                                                  const SideFile* side_file) {
  return ModuleReader(side_file).Read(model);
}

}  // namespace kiln
