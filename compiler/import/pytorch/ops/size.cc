// Extents as integers of the graph, and arithmetic on them. All are known when importing.
#include <cmath>
#include <limits>

#include "compiler/import/foreign/build.h"
#include "compiler/import/pytorch/node.h"

namespace kiln::pytorch_import {

namespace {

Status SymSize(Node& n) {
  KILN_ASSIGN_OR_RETURN(const Op* const x, n.tensor("self"));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(n.Int("dim"), Rank(x)));
  return n.OutputInteger(x->shape()[axis]);
}

Status SymNumel(Node& n) {
  KILN_ASSIGN_OR_RETURN(const Op* const x, n.tensor("self"));
  return n.OutputInteger(x->type().count());
}

StatusOr<int64_t> FloorDiv(int64_t a, int64_t b) {
  if (b == 0) return InvalidInput("divides by 0");
  if (b == -1) return a == std::numeric_limits<int64_t>::min() ? a : -a;
  return a / b - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0);
}

// One operator of Python's on integers that extents can have.
Status Integers(Node& n) {
  constexpr int64_t kLimit = int64_t{1} << 31;
  const int64_t a = n.Int("a"), b = n.Int("b");
  const std::string& kind = n.op().kind;
  KILN_RETURN_IF_ERROR(n.Problem());
  if (a < -kLimit || a > kLimit || b < -kLimit || b > kLimit) {
    return Unsupported("integers ", a, " and ", b, " are out of range");
  }
  if (kind == "add") return n.OutputInteger(a + b);
  if (kind == "sub") return n.OutputInteger(a - b);
  if (kind == "mul") return n.OutputInteger(a * b);
  if (kind == "neg") return n.OutputInteger(-a);
  if (kind == "pos") return n.OutputInteger(a);
  KILN_ASSIGN_OR_RETURN(const int64_t quotient, FloorDiv(a, b));
  if (kind == "floordiv") return n.OutputInteger(quotient);
  return n.OutputInteger(a - quotient * b);
}

Status Larger(Node& n) { return n.OutputInteger(std::max(n.Int("a"), n.Int("b"))); }
Status Smaller(Node& n) { return n.OutputInteger(std::min(n.Int("a"), n.Int("b"))); }

}  // namespace

std::vector<PytorchOp> SizeOps() {
  std::vector<PytorchOp> ops;
  ops.push_back({.name = "aten.sym_size.int", .handler = SymSize, .arguments = "self dim"});
  ops.push_back({.name = "aten.sym_numel.default", .handler = SymNumel});
  for (const char* const name : {"add", "sub", "mul", "neg", "pos", "floordiv", "mod"}) {
    ops.push_back({.name = StrCat("_operator.", name),
                   .handler = Integers,
                   .kind = name,
                   .arguments = "a b"});
  }
  for (const char* const name : {"torch.sym_int", "math.trunc"}) {
    ops.push_back({.name = name, .handler = Integers, .kind = "pos", .arguments = "a"});
  }
  ops.push_back({.name = "torch.sym_max", .handler = Larger, .arguments = "a b"});
  ops.push_back({.name = "torch.sym_min", .handler = Smaller, .arguments = "a b"});
  return ops;
}

}  // namespace kiln::pytorch_import
