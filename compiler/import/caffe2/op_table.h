// The table of Caffe2 operators: for each one the arguments that are understood and the function
// that expresses it in Kiln's ops. `kiln ops --format caffe2` prints it.
//
// One file of ops/ per family; the families are listed in op_table.cc. (No static registration:
// linkers drop it.)
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "compiler/import/foreign/problems.h"
#include "ir/support/status.h"

namespace kiln::caffe2_import {

using namespace foreign;  // what all readers share

class Node;

struct Caffe2Op {
  std::string name;
  /// Builds the node's outputs. Preflight has checked the arguments' names and the numbers of
  /// inputs and outputs; all else is the handler's to check.
  Status (*handler)(Node& node) = nullptr;
  /// The Kiln op that a handler shared by several operators builds.
  std::string kind;
  Arity inputs = {1, 1};
  int max_outputs = 1;
  std::vector<std::string> arguments;
  std::string limits;  ///< what is not supported, for the printed table
};

/// nullptr when there is no such operator.
const Caffe2Op* FindCaffe2Op(std::string_view name);
/// By name.
const std::vector<const Caffe2Op*>& AllCaffe2Ops();
/// Whether an argument of any operator means nothing to the result: hints to an implementation.
bool IsHint(std::string_view argument);

// The families.
std::vector<Caffe2Op> FillOps();           // ops/fill.cc: GivenTensorFill, ConstantFill, ...
std::vector<Caffe2Op> ElementwiseOps();    // ops/elementwise.cc
std::vector<Caffe2Op> ContractionOps();    // ops/contraction.cc: Conv, FC, BatchMatMul, ...
std::vector<Caffe2Op> PoolOps();           // ops/pool.cc
std::vector<Caffe2Op> NormalizationOps();  // ops/normalization.cc: SpatialBN, LRN, Softmax, ...
std::vector<Caffe2Op> MovementOps();       // ops/movement.cc: Concat, Reshape, Transpose, ...
std::vector<Caffe2Op> ReduceOps();         // ops/reduce.cc: Reduce*, TopK, ArgMax, losses

}  // namespace kiln::caffe2_import
