#include "compiler/lower/kernel_builder.h"

#include <map>
#include <numeric>

#include "ir/graph/op_def.h"
#include "ir/loop/affine.h"

namespace kiln {

namespace {

using loop::Expr;
using loop::Var;

bool IsNarrowFloat(ElementType type) {
  return type == ElementType::kF16 || type == ElementType::kBF16;
}

Expr Widen(Expr value) {
  return IsNarrowFloat(value.type()) ? loop::Cast(ElementType::kF32, value) : value;
}

Expr Narrow(Expr value, ElementType to) {
  return value.type() == to ? value : loop::Cast(to, value);
}

/// The physical index of the element at a logical index.
std::vector<Expr> PhysicalIndex(const Layout& layout, std::vector<Expr> index) {
  if (layout.IsRowMajor()) return index;
  std::vector<Expr> inner(layout.blocks.size());
  for (size_t b = layout.blocks.size(); b-- > 0;) {
    const Layout::Block& block = layout.blocks[b];
    inner[b] = loop::FloorMod(index[block.dim], block.size);
    index[block.dim] = loop::FloorDiv(index[block.dim], block.size);
  }
  std::vector<Expr> physical;
  for (size_t d = 0; d < index.size(); ++d) {
    physical.push_back(index[layout.order.empty() ? d : static_cast<size_t>(layout.order[d])]);
  }
  physical.insert(physical.end(), inner.begin(), inner.end());
  return physical;
}

/// The logical index of the element at a physical index; may lie outside the logical shape in the
/// padding of a blocked dimension.
std::vector<Expr> LogicalIndex(const TensorType& type, const std::vector<Expr>& physical) {
  const Layout& layout = type.layout;
  const size_t rank = type.shape.size();
  std::vector<Expr> index(rank);
  for (size_t d = 0; d < rank; ++d) {
    index[layout.order.empty() ? d : static_cast<size_t>(layout.order[d])] = physical[d];
  }
  for (size_t b = 0; b < layout.blocks.size(); ++b) {
    const Layout::Block& block = layout.blocks[b];
    index[block.dim] = index[block.dim] * Expr(block.size) + physical[rank + b];
  }
  return index;
}

/// Turns ops into expressions: the ops inside the fusion by their definition, the others into loads
/// of kernel inputs.
class ElementBuilder {
 public:
  ElementBuilder(const Op& op, BuiltKernel& built) : built_(built) {
    if (op.body() != nullptr) {
      for (size_t i = 0; i < op.operands().size(); ++i) {
        outside_[op.body()->inputs()[i]] = op.operand(i);
      }
    }
  }

  /// The value of `op` at a logical index. An op that is read twice at one index gives one shared
  /// expression: without that, a chain of diamonds would double at every step.
  Expr Element(Op* op, const std::vector<Expr>& index) {
    ElementKey key{op, {}};
    for (const Expr& i : index) key.second.push_back(i.get());
    const auto it = elements_.find(key);
    if (it != elements_.end()) return it->second.value;
    if (op == staged_) return staged_value_;
    Expr value = op->def().element(*op, ReaderOf(op), index);
    elements_.emplace(std::move(key), Memo{value, index});
    return value;
  }

  /// Reads operands of `op`.
  Reader ReaderOf(Op* op) {
    return [this, op](size_t k, const std::vector<Expr>& at) { return Read(op->operand(k), at); };
  }

  /// The value of `root` at an index where the op computed in stages has the value `value`.
  Expr Epilogue(Op* root, Op* staged, const std::vector<Expr>& index, const Expr& value) {
    staged_ = staged;
    staged_value_ = value;
    elements_.clear();
    return Element(root, index);
  }

  /// The kernel input that stands for `op`.
  loop::Buffer BufferOf(Op* op) {
    const auto it = outside_.find(op);
    Op* const outer = it == outside_.end() ? op : it->second;
    auto [slot, inserted] = buffers_.try_emplace(outer);
    if (inserted) {
      slot->second =
          loop::MakeBuffer(StrCat("in", static_cast<int64_t>(built_.inputs.size())),
                           outer->element(), outer->type().layout.PhysicalShape(outer->shape()));
      built_.inputs.push_back(outer);
      built_.kernel.inputs.push_back(slot->second);
    }
    return slot->second;
  }

 private:
  Expr Read(Op* op, const std::vector<Expr>& index) {
    const bool inside = inside_fusion() && !op->Is("input");
    if (inside && op->Is("constant")) {
      const Tensor& value = op->Constant("value");
      if (value.known() && value.type().count() == 1) return Literal(value);
    }
    if (inside && (op->def().element || op == staged_)) return Element(op, index);
    return Widen(loop::Load(BufferOf(op), PhysicalIndex(op->type().layout, index)));
  }

  static Expr Literal(const Tensor& value) {
    const ElementType element = value.type().element;
    if (!IsFloat(element)) return loop::ConstInt(element, value.GetInt(0));
    return loop::Const(IsNarrowFloat(element) ? ElementType::kF32 : element, value.GetDouble(0));
  }

  bool inside_fusion() const { return !outside_.empty(); }

  using ElementKey = std::pair<const Op*, std::vector<const loop::ExprNode*>>;
  struct Memo {
    Expr value;
    std::vector<Expr> index;  // keeps the nodes that the key points to alive
  };

  BuiltKernel& built_;
  Op* staged_ = nullptr;  // whose value is not its element but staged_value_
  Expr staged_value_;
  std::map<ElementKey, Memo> elements_;
  std::map<const Op*, Op*> outside_;  // fusion body input -> operand
  std::map<const Op*, loop::Buffer> buffers_;
};

/// A nest of serial loops over the result's physical dimensions around one store.
Status BuildElementKernel(Op& op, Op* root, BuiltKernel& built) {
  ElementBuilder builder(op, built);
  const TensorType& type = op.type();
  const Shape physical_shape = type.layout.PhysicalShape(type.shape);
  const loop::Buffer result = loop::MakeBuffer("out0", type.element, physical_shape);
  std::vector<Var> vars;
  std::vector<Expr> physical;
  for (size_t d = 0; d < physical_shape.size(); ++d) {
    vars.push_back(loop::MakeVar(StrCat("i", static_cast<int64_t>(d)), physical_shape[d]));
    physical.push_back(vars.back());
  }
  const std::vector<Expr> index = LogicalIndex(type, physical);
  Expr value = builder.Element(root, index);
  // The padding of a blocked dimension holds zeros.
  for (const Layout::Block& block : type.layout.blocks) {
    if (type.shape[block.dim] % block.size == 0) continue;
    value = loop::Select(loop::Lt(index[block.dim], type.shape[block.dim]), value,
                         loop::Const(value.type(), 0));
  }
  loop::Stmt body = loop::Store(result, physical, Narrow(value, type.element));
  for (size_t d = vars.size(); d-- > 0;) body = loop::For(vars[d], body);
  built.kernel.outputs = {result};
  built.kernel.body = loop::MapExprs(body, loop::Simplify);
  return OkStatus();
}

Status BuildNestKernel(Op& op, BuiltKernel& built) {
  ElementBuilder builder(op, built);
  NestContext context;
  for (Op* const operand : op.operands()) context.operands.push_back(builder.BufferOf(operand));
  context.result = loop::MakeBuffer("out0", op.element(), op.shape());
  built.kernel.outputs = {context.result};
  KILN_ASSIGN_OR_RETURN(const loop::Stmt body, op.def().nest(op, context));
  built.kernel.body = loop::MapExprs(body, loop::Simplify);
  return OkStatus();
}

/// The op of a fusion, or the one op, that is computed in stages; nullptr when there is none.
Op* FindStaged(Op& op) {
  if (op.body() == nullptr) return op.def().stages ? &op : nullptr;
  for (const auto& inner : op.body()->ops()) {
    if (inner->def().stages) return inner.get();
  }
  return nullptr;
}

/// Channels of `type` that are treated together: a block, or what fits a vector of any target.
int64_t ChannelBlock(const TensorType& type) {
  constexpr int64_t kWidest = 16;
  for (const Layout::Block& block : type.layout.blocks) {
    if (block.dim == 1 && type.shape[1] % block.size == 0) return block.size;
  }
  return std::gcd(type.shape[1], kWidest);
}

Status BuildStagedKernel(Op& op, Op* root, Op* staged, BuiltKernel& built) {
  ElementBuilder builder(op, built);
  const TensorType& type = op.type();
  const loop::Buffer result =
      loop::MakeBuffer("out0", type.element, type.layout.PhysicalShape(type.shape));
  StageContext context;
  context.read = builder.ReaderOf(staged);
  context.store = [&](const std::vector<Expr>& index, Expr value, Expr predicate) {
    const Expr stored = builder.Epilogue(root, staged, index, value);
    return loop::Store(result, PhysicalIndex(type.layout, index), Narrow(stored, type.element),
                       predicate);
  };
  context.ChannelBlock = [&](int k) {
    return ChannelBlock(k < 0 ? type : staged->operand(static_cast<size_t>(k))->type());
  };
  KILN_ASSIGN_OR_RETURN(const Stages stages, staged->def().stages(*staged, context));
  built.kernel.outputs = {result};
  for (const loop::Buffer& buffer : stages.scratch) built.kernel.outputs.push_back(buffer);
  built.kernel.body = loop::MapExprs(stages.body, loop::Simplify);
  built.flops = stages.flops;
  return OkStatus();
}

double CountFlops(const Expr& expr) {
  double flops = 0;
  switch (expr->kind) {
    case loop::ExprKind::kReduce: {
      double iterations = 1;
      for (const Var& var : expr->reduce_vars) iterations *= static_cast<double>(var->extent);
      return iterations * (1 + CountFlops(expr->args[0]));
    }
    case loop::ExprKind::kLoad: return 0;  // index arithmetic does not count
    case loop::ExprKind::kSelect: return CountFlops(expr->args[1]) + CountFlops(expr->args[2]);
    case loop::ExprKind::kUnary:
    case loop::ExprKind::kBinary: flops = IsFloat(expr.type()) ? 1 : 0; break;
    default: break;
  }
  for (const Expr& arg : expr->args) flops += CountFlops(arg);
  return flops;
}

double CountFlops(const loop::Stmt& stmt) {
  double flops = stmt->kind == loop::StmtKind::kStore ? CountFlops(stmt->value) : 0;
  for (const loop::Stmt& inner : stmt->body) flops += CountFlops(inner);
  if (stmt->kind == loop::StmtKind::kFor) flops *= static_cast<double>(stmt->var->extent);
  return flops;
}

}  // namespace

StatusOr<BuiltKernel> BuildKernel(Op& op) {
  BuiltKernel built;
  built.kernel.name = op.name();
  Op* const root = op.body() != nullptr ? op.body()->outputs()[0].value : &op;
  if (Op* const staged = FindStaged(op)) {
    KILN_RETURN_IF_ERROR(BuildStagedKernel(op, root, staged, built));
    return built;
  }
  if (root->def().element) {
    KILN_RETURN_IF_ERROR(BuildElementKernel(op, root, built));
  } else if (root == &op && op.def().nest) {
    KILN_RETURN_IF_ERROR(BuildNestKernel(op, built));
  } else {
    return InternalError("op '", root->kind(), "' has no lowering");
  }
  built.flops = CountFlops(built.kernel.body);
  return built;
}

loop::Kernel CopyKernel(const TensorType& type) {
  loop::Kernel kernel;
  kernel.name = "copy";
  kernel.inputs = {loop::MakeBuffer("in0", type.element, {type.count()})};
  kernel.outputs = {loop::MakeBuffer("out0", type.element, {type.count()})};
  const Var i = loop::MakeVar("i", type.count());
  const Expr value = Widen(loop::Load(kernel.inputs[0], {i}));
  kernel.body = loop::For(i, loop::Store(kernel.outputs[0], {i}, Narrow(value, type.element)));
  return kernel;
}

}  // namespace kiln
