#include "compiler/import/onnx/op_table.h"

#include <map>

#include "compiler/import/onnx/model.h"

namespace kiln::onnx_import {

namespace {

using onnx::AttributeProto;
using OpTable = std::map<std::string, OnnxOp, std::less<>>;

const OpTable& Table() {
  static const OpTable* const table = [] {
    auto* ops = new OpTable;
    for (const auto family :
         {UnaryOps,     BinaryOps,         CastOps,     ShapeOps,       MovementOps,
          GatherOps,    GeneratorOps,      ReduceOps,   ContractionOps, EinsumOps,
          PoolOps,      NormalizationOps,  ResizeOps,   GridSampleOps,  QuantizationOps,
          RecurrentOps, LossOps,           ControlOps,  SequenceOps,    SignalOps,
          RoiOps,       TextOps,           TrainingOps, DeterminantOps, AttentionOps,
          ColumnOps,    LinearAttentionOps}) {
      for (OnnxOp& op : family()) {
        std::string name = op.name;
        ops->emplace(std::move(name), std::move(op));
      }
    }
    return ops;
  }();
  return *table;
}

}  // namespace

AttributeSpec Int(std::string name) { return {std::move(name), AttributeProto::INT}; }
AttributeSpec Ints(std::string name) { return {std::move(name), AttributeProto::INTS}; }
AttributeSpec Float(std::string name) { return {std::move(name), AttributeProto::FLOAT}; }
AttributeSpec Floats(std::string name) { return {std::move(name), AttributeProto::FLOATS}; }
AttributeSpec String(std::string name) { return {std::move(name), AttributeProto::STRING}; }
AttributeSpec Strings(std::string name) { return {std::move(name), AttributeProto::STRINGS}; }
AttributeSpec TensorValue(std::string name) { return {std::move(name), AttributeProto::TENSOR}; }
AttributeSpec Body(std::string name) { return {std::move(name), AttributeProto::GRAPH}; }

AttributeSpec Required(AttributeSpec spec) {
  spec.required = true;
  return spec;
}

AttributeSpec Since(int first, AttributeSpec spec) {
  spec.first = first;
  return spec;
}

AttributeSpec Until(int last, AttributeSpec spec) {
  spec.last = last;
  return spec;
}

std::string OperatorName(const onnx::NodeProto& node) {
  const std::string domain = NormalDomain(node.domain());
  return domain.empty() ? node.op_type() : domain + "." + node.op_type();
}

const OnnxOp* FindOnnxOp(std::string_view name) {
  const auto it = Table().find(name);
  return it == Table().end() ? nullptr : &it->second;
}

const std::vector<const OnnxOp*>& AllOnnxOps() {
  static const auto* const all = [] {
    auto* ops = new std::vector<const OnnxOp*>;
    for (const auto& [name, op] : Table()) ops->push_back(&op);
    return ops;
  }();
  return *all;
}

}  // namespace kiln::onnx_import
