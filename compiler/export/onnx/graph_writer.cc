#include "compiler/export/onnx/graph_writer.h"

#include <algorithm>

#include "compiler/import/onnx/tensor.h"

namespace kiln::onnx_export {

namespace {

const std::string& PublicName(const Op& input) {
  return input.sources().empty() ? input.name() : input.sources()[0];
}

// Whether `bias` adds one number a channel to the result of the contraction `op`: to dimension 1 of
// a convolution, to the last of a product of matrices.
bool IsBiasOf(const Op& op, const Op& bias) {
  const bool matrices = op.Is("matmul");
  if (!matrices && !op.Is("conv") && !op.Is("conv_transpose")) return false;
  if (matrices && (op.shape().size() != 2 || op.operand(0)->shape().size() != 2 ||
                   op.operand(1)->shape().size() != 2)) {
    return false;
  }
  if (!IsFloat(op.element()) || bias.element() != op.element()) return false;
  Shape expected(op.shape().size() - 1, 1);
  expected[0] = op.shape()[1];
  const Shape& shape = bias.shape();
  if (matrices) return shape == expected;
  Shape with_batch = expected;
  with_batch.insert(with_batch.begin(), 1);
  return shape == expected || shape == with_batch;
}

}  // namespace

onnx::AttributeProto Int(std::string name, int64_t value) {
  onnx::AttributeProto attribute;
  attribute.set_name(std::move(name));
  attribute.set_type(onnx::AttributeProto::INT);
  attribute.set_i(value);
  return attribute;
}

onnx::AttributeProto Ints(std::string name, const std::vector<int64_t>& values) {
  onnx::AttributeProto attribute;
  attribute.set_name(std::move(name));
  attribute.set_type(onnx::AttributeProto::INTS);
  attribute.mutable_ints()->Add(values.begin(), values.end());
  return attribute;
}

onnx::AttributeProto Float(std::string name, double value) {
  onnx::AttributeProto attribute;
  attribute.set_name(std::move(name));
  attribute.set_type(onnx::AttributeProto::FLOAT);
  attribute.set_f(static_cast<float>(value));
  return attribute;
}

onnx::AttributeProto String(std::string name, std::string value) {
  onnx::AttributeProto attribute;
  attribute.set_name(std::move(name));
  attribute.set_type(onnx::AttributeProto::STRING);
  attribute.set_s(std::move(value));
  return attribute;
}

std::string NodeWriter::operand(size_t i) const { return graph_.NameOf(*op_.operand(i)); }

Names NodeWriter::operands() const {
  Names names;
  for (const Op* operand : op_.operands()) names.push_back(graph_.NameOf(*operand));
  return names;
}

std::string NodeWriter::operand_of(const Op& contraction, size_t i) const {
  return graph_.NameOf(*contraction.operand(i));
}

const Op* NodeWriter::merged_into() const { return graph_.ContractionOf(op_); }

std::string NodeWriter::Constant(const Tensor& value) {
  return graph_.AddInitializer(op_.name() + ".constant", value);
}

std::string NodeWriter::Indices(const std::vector<int64_t>& values) {
  return Constant(
      Tensor::FromInts(ElementType::kI64, {static_cast<int64_t>(values.size())}, values));
}

std::string NodeWriter::Scalar(ElementType element, double value) {
  return Constant(Tensor::Splat({element, {}, {}}, value));
}

std::string NodeWriter::Node(const char* type, const Names& inputs, const Attributes& attributes) {
  const std::string name = graph_.NewName(op_.name() + ".part");
  graph_.AddNode(op_, type, inputs, {name}, attributes);
  return name;
}

Status NodeWriter::Result(const char* type, const Names& inputs, const Attributes& attributes) {
  return ResultOf(type, inputs, attributes, 0);
}

Status NodeWriter::ResultOf(const char* type, const Names& inputs, const Attributes& attributes,
                            int i) {
  Names results;
  for (int k = 0; k < i; ++k) results.push_back(graph_.NewName(op_.name() + ".unused"));
  results.push_back(graph_.NameOf(op_));
  graph_.AddNode(op_, type, inputs, results, attributes);
  return OkStatus();
}

Status NodeWriter::Refuse(const char* why) const {
  return Unsupported("ONNX has no operator for ", op_.kind(), " ", why);
}

bool NodeWriter::open_batch() const {
  return graph_.batch() >= 0 && !op_.shape().empty() && op_.shape()[0] == graph_.batch();
}

std::string GraphWriter::NewName(const std::string& hint) {
  std::string name = hint;
  for (int i = 1; !taken_.insert(name).second; ++i) name = StrCat(hint, "_", i);
  return name;
}

std::string GraphWriter::AddInitializer(const std::string& hint, const Tensor& value) {
  const std::string name = NewName(hint);
  *graph_.add_initializer() = onnx_import::ToProto(value, name);
  return name;
}

void GraphWriter::AddNode(const Op& op, const char* type, const Names& inputs, const Names& results,
                          const Attributes& attributes) {
  onnx::NodeProto& node = *graph_.add_node();
  const std::string& hint = op.sources().empty() ? op.name() : op.sources()[0];
  std::string name = hint;
  for (int i = 1; !node_names_.insert(name).second; ++i) name = StrCat(hint, "_", i);
  node.set_name(name);
  node.set_op_type(type);
  for (const std::string& input : inputs) node.add_input(input);
  for (const std::string& result : results) node.add_output(result);
  for (const onnx::AttributeProto& attribute : attributes) *node.add_attribute() = attribute;
}

const Op* GraphWriter::BiasAdditionOf(const Op& op) const {
  const auto it = addition_of_.find(&op);
  return it == addition_of_.end() ? nullptr : it->second;
}

const Op* GraphWriter::ContractionOf(const Op& addition) const {
  const auto it = contraction_of_.find(&addition);
  return it == contraction_of_.end() ? nullptr : it->second;
}

void GraphWriter::FindBiases() {
  for (const auto& op : function_.ops()) {
    if (!op->Is("add")) continue;
    for (const size_t i : {0, 1}) {
      const Op* const contraction = op->operand(i);
      if (contraction->users().size() != 1 || function_.IsOutput(contraction) ||
          contraction->shape() != op->shape() || !IsBiasOf(*contraction, *op->operand(1 - i))) {
        continue;
      }
      addition_of_[contraction] = op.get();
      contraction_of_[op.get()] = contraction;
      break;
    }
  }
}

void GraphWriter::SetType(const Op& op, const std::string& name, onnx::ValueInfoProto& info) const {
  info.set_name(name);
  onnx::TypeProto::Tensor& type = *info.mutable_type()->mutable_tensor_type();
  type.set_elem_type(onnx_import::ToDataType(op.element()));
  type.mutable_shape();
  bool first = true;
  for (const int64_t extent : op.shape()) {
    onnx::TensorShapeProto::Dimension& dimension = *type.mutable_shape()->add_dim();
    if (first && extent == batch_) {
      dimension.set_dim_param("N");
    } else {
      dimension.set_dim_value(extent);
    }
    first = false;
  }
}

Status GraphWriter::WriteInputs() {
  for (const Op* input : function_.inputs()) {
    const std::string name = NewName(PublicName(*input));
    names_[input] = name;
    if (options_.open_batch && batch_ < 0 && !input->shape().empty()) batch_ = input->shape()[0];
    SetType(*input, name, *graph_.add_input());
  }
  return OkStatus();
}

// An output has the function's name for it. Where a value has several, or is an input or a
// parameter, an Identity makes the output.
Status GraphWriter::WriteOutputs() {
  for (const Graph::Output& output : function_.outputs()) {
    if (output.update) continue;
    SetType(*output.value, output.name, *graph_.add_output());
    if (names_.at(output.value) != output.name) {
      AddNode(*output.value, "Identity", {names_.at(output.value)}, {output.name}, {});
    }
  }
  return OkStatus();
}

Status GraphWriter::Write() {
  FindBiases();
  for (const Graph::Output& output : function_.outputs()) {
    if (!output.update) taken_.insert(output.name);
  }
  KILN_RETURN_IF_ERROR(WriteInputs());
  std::map<const Op*, std::string> output_names;
  for (const Graph::Output& output : function_.outputs()) {
    if (!output.update) output_names.emplace(output.value, output.name);
  }
  for (const auto& op : function_.ops()) {
    if (op->Is("input")) continue;
    if (op->Is("parameter")) {
      const std::string& parameter = op->String("name");
      if (!parameters_.contains(parameter)) {
        const Tensor& value = function_.module()->FindParameter(parameter)->value;
        parameters_[parameter] = AddInitializer(parameter, value);
      }
      names_[op.get()] = parameters_.at(parameter);
      continue;
    }
    if (op->Is("constant")) {
      names_[op.get()] = AddInitializer(op->name(), op->Constant("value"));
      continue;
    }
    const auto output = output_names.find(op.get());
    names_[op.get()] = output == output_names.end() ? NewName(op->name()) : output->second;
    if (BiasAdditionOf(*op) != nullptr) continue;
    NodeWriter node(*this, *op);
    KILN_RETURN_IF_ERROR(Annotate(FindOpWriter(op->kind())->write(node),
                                  op->sources().empty() ? op->name() : op->sources()[0]));
  }
  return WriteOutputs();
}

}  // namespace kiln::onnx_export
