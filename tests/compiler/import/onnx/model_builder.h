// Builds ONNX models in memory, for tests.
#pragma once

#include <string>
#include <vector>

#include "compiler/import/onnx/tensor.h"
#include "proto/onnx.pb.h"

namespace kiln {

inline onnx::AttributeProto OnnxAttribute(const std::string& name,
                                          onnx::AttributeProto::AttributeType type) {
  onnx::AttributeProto attribute;
  attribute.set_name(name);
  attribute.set_type(type);
  return attribute;
}

inline onnx::AttributeProto OnnxInt(const std::string& name, int64_t value) {
  auto attribute = OnnxAttribute(name, onnx::AttributeProto::INT);
  attribute.set_i(value);
  return attribute;
}

inline onnx::AttributeProto OnnxFloat(const std::string& name, float value) {
  auto attribute = OnnxAttribute(name, onnx::AttributeProto::FLOAT);
  attribute.set_f(value);
  return attribute;
}

inline onnx::AttributeProto OnnxInts(const std::string& name, const std::vector<int64_t>& value) {
  auto attribute = OnnxAttribute(name, onnx::AttributeProto::INTS);
  for (const int64_t v : value) attribute.add_ints(v);
  return attribute;
}

inline onnx::AttributeProto OnnxString(const std::string& name, const std::string& value) {
  auto attribute = OnnxAttribute(name, onnx::AttributeProto::STRING);
  attribute.set_s(value);
  return attribute;
}

inline onnx::AttributeProto OnnxTensor(const std::string& name, const Tensor& value) {
  auto attribute = OnnxAttribute(name, onnx::AttributeProto::TENSOR);
  *attribute.mutable_t() = onnx_import::ToProto(value, "");
  return attribute;
}

inline onnx::AttributeProto OnnxGraph(const std::string& name, const onnx::GraphProto& value) {
  auto attribute = OnnxAttribute(name, onnx::AttributeProto::GRAPH);
  *attribute.mutable_g() = value;
  return attribute;
}

using OnnxAttributes = std::vector<onnx::AttributeProto>;

inline onnx::NodeProto OnnxNode(const std::string& op, const std::vector<std::string>& inputs,
                                const std::vector<std::string>& outputs,
                                const OnnxAttributes& attributes = {}) {
  onnx::NodeProto node;
  node.set_op_type(op);
  for (const std::string& name : inputs) node.add_input(name);
  for (const std::string& name : outputs) node.add_output(name);
  for (const auto& attribute : attributes) *node.add_attribute() = attribute;
  return node;
}

/// A graph with nodes and output names, as the branch of an If has.
inline onnx::GraphProto OnnxBranch(const std::vector<onnx::NodeProto>& nodes,
                                   const std::vector<std::string>& outputs) {
  onnx::GraphProto graph;
  for (const auto& node : nodes) *graph.add_node() = node;
  for (const std::string& name : outputs) graph.add_output()->set_name(name);
  return graph;
}

class ModelBuilder {
 public:
  explicit ModelBuilder(int64_t opset = 17) {
    model_.set_ir_version(8);
    model_.add_opset_import()->set_version(opset);
  }

  /// A dimension of -1 is open, under the name "N".
  ModelBuilder& Input(const std::string& name, const std::vector<int64_t>& dims,
                      int type = onnx::TensorProto::FLOAT) {
    auto* const input = model_.mutable_graph()->add_input();
    input->set_name(name);
    auto* const tensor = input->mutable_type()->mutable_tensor_type();
    tensor->set_elem_type(type);
    tensor->mutable_shape();
    for (const int64_t dim : dims) {
      auto* const entry = tensor->mutable_shape()->add_dim();
      if (dim == -1) {
        entry->set_dim_param("N");
      } else {
        entry->set_dim_value(dim);
      }
    }
    return *this;
  }

  ModelBuilder& Initializer(const std::string& name, const Tensor& value) {
    *model_.mutable_graph()->add_initializer() = onnx_import::ToProto(value, name);
    return *this;
  }

  ModelBuilder& Ints(const std::string& name, const std::vector<int64_t>& values) {
    const Shape shape = {static_cast<int64_t>(values.size())};
    return Initializer(name, Tensor::FromInts(ElementType::kI64, shape, values));
  }

  ModelBuilder& Node(const std::string& op, const std::vector<std::string>& inputs,
                     const std::vector<std::string>& outputs,
                     const OnnxAttributes& attributes = {}) {
    *model_.mutable_graph()->add_node() = OnnxNode(op, inputs, outputs, attributes);
    return *this;
  }

  ModelBuilder& Output(const std::string& name) {
    model_.mutable_graph()->add_output()->set_name(name);
    return *this;
  }

  onnx::GraphProto& graph() { return *model_.mutable_graph(); }
  onnx::ModelProto& model() { return model_; }

 private:
  onnx::ModelProto model_;
};

}  // namespace kiln
