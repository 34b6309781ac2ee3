// The table of PyTorch operators: for each one the arguments that are understood and the function
// that expresses it in Kiln's ops. `kiln ops --format pytorch` prints it.
//
// One file of ops/ per family; the families are listed in op_table.cc. (No static registration:
// linkers drop it.)
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "compiler/import/foreign/problems.h"
#include "ir/support/status.h"

namespace kiln::pytorch_import {

using namespace foreign;  // what all readers share

class Node;

struct PytorchOp {
  std::string name;  ///< namespace, name, overload: "aten.add.Tensor"
  /// Builds the node's results. Preflight has checked the arguments' names; all else is the
  /// handler's to check.
  Status (*handler)(Node& node) = nullptr;
  /// The Kiln op that a handler shared by several operators builds.
  std::string kind;
  /// Names as in the operator's schema, with blanks between; the first that a node has is what it
  /// works on in place, or views.
  std::string arguments = "self";
  /// Results may share memory with the first argument, so that what works in place on one shows in
  /// the other.
  bool view = false;
  std::string limits;  ///< what is not supported, for the printed table
};

/// An operator as a node calls it: "aten.relu_.default" is aten.relu.default in place.
struct Target {
  const PytorchOp* op = nullptr;  ///< null when there is no such operator
  bool in_place = false;
};
Target FindTarget(std::string_view target);

/// By name.
const std::vector<const PytorchOp*>& AllPytorchOps();
/// Whether the operator of `op` understands the argument. Where a tensor lies and in which order of
/// memory means nothing here.
bool Understands(const PytorchOp& op, std::string_view argument);
// The families.
std::vector<PytorchOp> UnaryOps();          // ops/unary.cc: activations, mathematical functions
std::vector<PytorchOp> BinaryOps();         // ops/binary.cc: arithmetic, comparison, where
std::vector<PytorchOp> CastOps();           // ops/cast.cc: types, copies, dropout
std::vector<PytorchOp> ContractionOps();    // ops/contraction.cc: convolution, linear, mm, ...
std::vector<PytorchOp> AttentionOps();      // ops/attention.cc
std::vector<PytorchOp> PoolOps();           // ops/pool.cc
std::vector<PytorchOp> ResizeOps();         // ops/resize.cc: upsample_*, pixel_shuffle
std::vector<PytorchOp> NormalizationOps();  // ops/normalization.cc: batch_norm, softmax, ...
std::vector<PytorchOp> ReduceOps();         // ops/reduce.cc: sum, amax, var, topk, ...
std::vector<PytorchOp> ShapeOps();          // ops/shape.cc: view, permute, expand, ...
std::vector<PytorchOp> MovementOps();       // ops/movement.cc: cat, slice, pad, ...
std::vector<PytorchOp> IndexOps();          // ops/index.cc: index, gather, embedding, ...
std::vector<PytorchOp> GenerateOps();       // ops/generate.cc: arange, full, zeros, ...
std::vector<PytorchOp> SizeOps();           // ops/size.cc: sym_size, arithmetic on integers

}  // namespace kiln::pytorch_import
