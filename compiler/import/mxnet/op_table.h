// The table of MXNet operators: for each one the attributes that are understood and the function
// that expresses it in Kiln's ops. `kiln ops --format mxnet` prints it.
//
// One file of ops/ per family; the families are listed in op_table.cc. (No static registration:
// linkers drop it.)
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "compiler/import/foreign/problems.h"
#include "ir/support/status.h"

namespace kiln::mxnet_import {

using namespace foreign;  // what all readers share

class Node;

struct MxnetOp {
  std::string name;
  /// Builds the node's outputs. Preflight has checked the attributes' names and the number of
  /// inputs; all else is the handler's to check.
  Status (*handler)(Node& node) = nullptr;
  /// The Kiln op that a handler shared by several operators builds.
  std::string kind;
  Arity inputs = {1, 1};
  std::vector<std::string> attributes;
  std::string limits;  ///< what is not supported, for the printed table
};

/// nullptr when there is no such operator.
const MxnetOp* FindMxnetOp(std::string_view name);
/// By name.
const std::vector<const MxnetOp*>& AllMxnetOps();
/// Whether an attribute of any operator means nothing to the result: hints to an implementation,
/// and what users write beside.
bool IsHint(std::string_view attribute);

// The families.
std::vector<MxnetOp> ElementwiseOps();    // ops/elementwise.cc
std::vector<MxnetOp> ContractionOps();    // ops/contraction.cc: Convolution, FullyConnected, ...
std::vector<MxnetOp> PoolOps();           // ops/pool.cc: Pooling, UpSampling
std::vector<MxnetOp> NormalizationOps();  // ops/normalization.cc: BatchNorm, LRN, softmax, ...
std::vector<MxnetOp> MovementOps();       // ops/movement.cc: Reshape, Concat, slice_axis, ...
std::vector<MxnetOp> ReduceOps();         // ops/reduce.cc
std::vector<MxnetOp> OutputOps();         // ops/output.cc: SoftmaxOutput, *RegressionOutput, ...

}  // namespace kiln::mxnet_import
