// GraphWriter: a function of the IR to an ONNX graph, op by op.
#pragma once

#include <map>
#include <set>
#include <string>

#include "compiler/export/onnx/node_writer.h"
#include "compiler/export/onnx/onnx_export.h"

namespace kiln::onnx_export {

class GraphWriter {
 public:
  GraphWriter(const Graph& function, const OnnxExportOptions& options, onnx::GraphProto& graph)
      : function_(function), options_(options), graph_(graph) {}

  /// Every op has a writer.
  Status Write();

  const OnnxExportOptions& options() const { return options_; }
  /// The extent of the open leading dimension; -1: none is open.
  int64_t batch() const { return batch_; }
  const std::string& NameOf(const Op& op) const { return names_.at(&op); }
  /// `hint`, or hint with a number behind it; no other value has it.
  std::string NewName(const std::string& hint);
  std::string AddInitializer(const std::string& hint, const Tensor& value);
  /// Adds a node for `op` that makes the values `results`.
  void AddNode(const Op& op, const char* type, const Names& inputs, const Names& results,
               const Attributes& attributes);

  /// ONNX's convolutions and Gemm add a bias themselves: the addition behind one, when nobody else
  /// reads it, is written together with it. nullptr: `op` is written on its own.
  const Op* BiasAdditionOf(const Op& op) const;
  /// The contraction that an addition is written with.
  const Op* ContractionOf(const Op& addition) const;

 private:
  void FindBiases();
  Status WriteInputs();
  Status WriteOutputs();
  void SetType(const Op& op, const std::string& name, onnx::ValueInfoProto& info) const;

  const Graph& function_;
  const OnnxExportOptions& options_;
  onnx::GraphProto& graph_;
  int64_t batch_ = -1;
  std::map<const Op*, std::string> names_;
  std::set<std::string> taken_, node_names_;
  std::map<std::string, std::string> parameters_;  // names of initializers
  std::map<const Op*, const Op*> addition_of_, contraction_of_;
};

}  // namespace kiln::onnx_export
