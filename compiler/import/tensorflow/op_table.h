// The table of TensorFlow operators: the function that expresses each one in Kiln's ops.
// `kiln ops --format tensorflow` prints it.
//
// One file of ops/ per family; the families are listed in op_table.cc. (No static registration:
// linkers drop it.)
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "compiler/import/foreign/problems.h"
#include "ir/support/status.h"

namespace kiln::tensorflow_import {

using namespace foreign;  // what all readers share

class Node;

struct TensorflowOp {
  std::string name;
  /// Builds the node's outputs. Preflight has checked the number of inputs; all else is the
  /// handler's to check.
  Status (*handler)(Node& node) = nullptr;
  /// The Kiln op that a handler shared by several operators builds.
  std::string kind;
  Arity inputs = {1, 1};
  /// The names of its outputs, by which functions refer to them; empty: there is one.
  std::vector<std::string> outputs;
  std::string limits;  ///< what is not supported, for the printed table
};

/// nullptr when there is no such operator.
const TensorflowOp* FindTensorflowOp(std::string_view name);
/// By name.
const std::vector<const TensorflowOp*>& AllTensorflowOps();

/// The number of the output that a function calls `name`, of operator `op`.
int FirstOutput(const std::string& op, const std::string& name);

/// Whether an operator only has an effect outside of the graph, or makes constants and inputs,
/// which are no results.
bool IsSideEffect(std::string_view op);

// The families.
std::vector<TensorflowOp> SourceOps();         // ops/source.cc: Const, Placeholder, Identity, ...
std::vector<TensorflowOp> ElementwiseOps();    // ops/elementwise.cc
std::vector<TensorflowOp> ContractionOps();    // ops/contraction.cc: Conv2D, MatMul, ...
std::vector<TensorflowOp> PoolOps();           // ops/pool.cc: MaxPool, ResizeBilinear, ...
std::vector<TensorflowOp> NormalizationOps();  // ops/normalization.cc: FusedBatchNorm, LRN, ...
std::vector<TensorflowOp> ShapeOps();          // ops/shape.cc: Reshape, Shape, Pack, ...
std::vector<TensorflowOp> MovementOps();       // ops/movement.cc: StridedSlice, Pad, ConcatV2, ...
std::vector<TensorflowOp> SpaceOps();          // ops/space.cc: SpaceToBatchND, DepthToSpace, ...
std::vector<TensorflowOp> ReduceOps();         // ops/reduce.cc: Mean, ArgMax, TopKV2, losses

}  // namespace kiln::tensorflow_import
