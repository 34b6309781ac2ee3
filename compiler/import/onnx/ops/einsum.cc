// Einsum.
#include "compiler/import/foreign/einsum.h"

#include "compiler/import/onnx/node.h"

namespace kiln::onnx_import {

namespace {

Status Einsum(Node& n) {
  KILN_ASSIGN_OR_RETURN(const std::vector<Op*> operands, n.operands());
  return n.Result(foreign::Einsum(n.builder(), n.String("equation"), operands));
}

}  // namespace

std::vector<OnnxOp> EinsumOps() {
  std::vector<OnnxOp> ops;
  ops.push_back({.name = "Einsum",
                 .handler = Einsum,
                 .operands = {1, kAny},
                 .attributes = {Required(String("equation"))}});
  return ops;
}

}  // namespace kiln::onnx_import
