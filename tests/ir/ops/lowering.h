// Lowers one op by itself and runs the kernel with the loop interpreter.
#pragma once

#include <vector>

#include "ir/eval/array.h"
#include "ir/graph/op_def.h"
#include "ir/loop/interpret.h"

namespace kiln {

/// The kernel of a primitive op by itself, over row-major buffers, one for each operand slot.
inline StatusOr<loop::Kernel> Lower(const Op& op) {
  NestContext context;
  loop::Kernel kernel{.name = op.kind()};
  for (const Op* const operand : op.operands()) {
    context.operands.push_back(loop::MakeBuffer("x", operand->element(), operand->shape()));
  }
  context.result = loop::MakeBuffer("y", op.element(), op.shape());
  kernel.inputs = context.operands;
  kernel.outputs = {context.result};
  if (op.def().nest) {
    KILN_ASSIGN_OR_RETURN(kernel.body, op.def().nest(op, context));
    return kernel;
  }
  const Reader read = [&](size_t k, const std::vector<loop::Expr>& at) {
    return context.Load(context.operands[k], at);
  };
  if (op.def().stages) {
    const StageContext stage{.read = read,
                             .store =
                                 [&](const std::vector<loop::Expr>& at, const loop::Expr& value,
                                     const loop::Expr& predicate) {
                                   return context.Store(context.result, at, value, predicate);
                                 },
                             .ChannelBlock = [](int) { return 1; }};
    KILN_ASSIGN_OR_RETURN(const Stages stages, op.def().stages(op, stage));
    kernel.outputs.insert(kernel.outputs.end(), stages.scratch.begin(), stages.scratch.end());
    kernel.body = stages.body;
    return kernel;
  }
  std::vector<loop::Var> vars;
  std::vector<loop::Expr> index;
  for (const int64_t extent : op.shape()) {
    vars.push_back(loop::MakeVar("i", extent));
    index.push_back(vars.back());
  }
  kernel.body = context.Store(context.result, index, op.def().element(op, read, index));
  for (size_t d = vars.size(); d-- > 0;) kernel.body = For(vars[d], kernel.body);
  return kernel;
}

/// The result of Lower's kernel, run by the loop interpreter.
inline StatusOr<Array> RunLowered(const Op& op, const std::vector<const Array*>& operands) {
  KILN_ASSIGN_OR_RETURN(const loop::Kernel kernel, Lower(op));
  KILN_RETURN_IF_ERROR(Verify(kernel));
  std::vector<std::vector<char>> bytes;
  for (const Array* const operand : operands) {
    const Tensor tensor = operand->ToTensor();
    bytes.emplace_back(tensor.bytes().begin(), tensor.bytes().end());
  }
  // Not zero: an element that the kernel leaves out shows.
  const TensorType type{op.element(), op.shape()};
  const size_t result = bytes.size();
  for (const loop::Buffer& buffer : kernel.outputs) {
    bytes.emplace_back(static_cast<size_t>(ElementCount(buffer->shape) * ByteSize(buffer->element)),
                       char{0x55});
  }
  std::vector<void*> pointers;
  for (std::vector<char>& buffer : bytes) pointers.push_back(buffer.data());
  KILN_RETURN_IF_ERROR(loop::Interpret(kernel, pointers));
  return Array::FromTensor(Tensor(type, std::move(bytes[result])));
}

}  // namespace kiln
