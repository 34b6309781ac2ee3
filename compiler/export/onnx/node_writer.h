// NodeWriter: what the writer of an op sees: the names of its operands, and ways to add ONNX nodes
// and initializers that together make its result.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ir/graph/graph.h"
#include "ir/support/status.h"
#include "proto/onnx.pb.h"

namespace kiln::onnx_export {

using Names = std::vector<std::string>;
using Attributes = std::vector<onnx::AttributeProto>;

onnx::AttributeProto Int(std::string name, int64_t value);
onnx::AttributeProto Ints(std::string name, const std::vector<int64_t>& values);
onnx::AttributeProto Float(std::string name, double value);
onnx::AttributeProto String(std::string name, std::string value);

class GraphWriter;

class NodeWriter {
 public:
  NodeWriter(GraphWriter& graph, const Op& op) : graph_(graph), op_(op) {}

  const Op& op() const { return op_; }
  ElementType element() const { return op_.element(); }
  /// The value that operand `i` is called by.
  std::string operand(size_t i) const;
  /// All of them.
  Names operands() const;
  /// The contraction that this op, the addition of its bias, is written together with; else
  /// nullptr.
  const Op* merged_into() const;
  /// The value that operand `i` of that contraction is called by.
  std::string operand_of(const Op& contraction, size_t i) const;

  /// An initializer.
  std::string Constant(const Tensor& value);
  std::string Indices(const std::vector<int64_t>& values);  ///< i64[n]
  std::string Scalar(ElementType element, double value);    ///< of rank 0
  std::string Scalar(double value) { return Scalar(op_.operand(0)->element(), value); }

  /// A node with a value of its own; its name.
  std::string Node(const char* type, const Names& inputs, const Attributes& attributes = {});
  /// The node that makes the op's result.
  Status Result(const char* type, const Names& inputs, const Attributes& attributes = {});
  /// Result `i` of a node with several is the op's; the others have no name.
  Status ResultOf(const char* type, const Names& inputs, const Attributes& attributes, int i);

  /// "ONNX has no operator for KIND WHY".
  Status Refuse(const char* why) const;
  /// Whether the result's leading dimension is the one that is left open.
  bool open_batch() const;

 private:
  GraphWriter& graph_;
  const Op& op_;
};

struct OpWriter {
  std::string kind;  ///< of our op
  Status (*write)(NodeWriter& node) = nullptr;
  std::string type;  ///< the ONNX operator that a writer shared by several ops writes
};

/// nullptr when there is none.
const OpWriter* FindOpWriter(std::string_view kind);
const std::vector<OpWriter>& AllOpWriters();

// The families, as in the import.
std::vector<OpWriter> ElementwiseWriters();    // ops/elementwise.cc
std::vector<OpWriter> MovementWriters();       // ops/movement.cc: reshape, slice, gather, ...
std::vector<OpWriter> ReductionWriters();      // ops/reduction.cc: reductions, softmax, top-k, ...
std::vector<OpWriter> ContractionWriters();    // ops/contraction.cc: conv, matmul, with their bias
std::vector<OpWriter> WindowWriters();         // ops/window.cc: pools, resize
std::vector<OpWriter> NormalizationWriters();  // ops/normalization.cc, dropout

}  // namespace kiln::onnx_export
