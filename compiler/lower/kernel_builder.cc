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

/// The physical index of the element at a logical index. An index may lie in the padding.
std::vector<Expr> PhysicalIndex(const Layout& layout, std::vector<Expr> index) {
  if (layout.IsRowMajor()) return index;
  std::vector<Expr> inner(layout.blocks.size());
  for (size_t b = layout.blocks.size(); b-- > 0;) {
    const Layout::Block& block = layout.blocks[b];
    inner[b] = loop::FloorMod(index[block.dim], block.size);
    index[block.dim] = loop::FloorDiv(index[block.dim], block.size);
  }
  for (const Layout::Padding& around : layout.padding) {
    index[around.dim] = index[around.dim] + around.low;
  }
  std::vector<Expr> physical;
  for (size_t d = 0; d < index.size(); ++d) {
    physical.push_back(index[layout.order.empty() ? d : static_cast<size_t>(layout.order[d])]);
  }
  physical.insert(physical.end(), inner.begin(), inner.end());
  return physical;
}

std::vector<Expr> Shifted(std::vector<Expr> index, const std::vector<int64_t>& offset) {
  for (size_t d = 0; d < index.size(); ++d) {
    if (offset[d] != 0) index[d] = index[d] + offset[d];
  }
  return index;
}

loop::Buffer BufferOfOwner(const std::string& name, const Location& location) {
  const TensorType& type = location.owner->type();
  return loop::MakeBuffer(name, type.element, type.layout.PhysicalShape(type.shape));
}

/// Turns ops into expressions: the ops inside the fusion by their definition, the others into loads
/// of kernel inputs.
class ElementBuilder {
 public:
  ElementBuilder(const Op& op, const Locations& locations, BuiltKernel& built)
      : locations_(locations), built_(built) {
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

  /// Loads from the kernel input that stands for `op`, widened.
  Expr LoadFrom(Op* op, const std::vector<Expr>& index) {
    const Location location = locations_.Of(Outside(op));
    return Widen(
        loop::Load(BufferOf(location.owner),
                   PhysicalIndex(location.owner->type().layout, Shifted(index, location.offset))));
  }

  /// The kernel input that stands for `op`, which owns its buffer.
  loop::Buffer BufferOf(Op* op) {
    Op* const owner = Outside(op);
    auto [slot, inserted] = buffers_.try_emplace(owner);
    if (inserted) {
      slot->second = BufferOfOwner(StrCat("in", static_cast<int64_t>(built_.inputs.size())),
                                   Location{owner, {}});
      built_.inputs.push_back(owner);
      built_.kernel.inputs.push_back(slot->second);
    }
    return slot->second;
  }

 private:
  Op* Outside(Op* op) const {
    const auto it = outside_.find(op);
    return it == outside_.end() ? op : it->second;
  }

  Expr Read(Op* op, const std::vector<Expr>& index) {
    const bool inside = inside_fusion() && !op->Is("input");
    if (inside && op->Is("constant")) {
      const Tensor& value = op->Constant("value");
      if (value.known() && value.type().count() == 1) return Literal(value);
    }
    if (inside && (op->def().element || op == staged_)) return Element(op, index);
    return LoadFrom(op, index);
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

  const Locations& locations_;
  BuiltKernel& built_;
  Op* staged_ = nullptr;  // whose value is not its element but staged_value_
  Expr staged_value_;
  std::map<ElementKey, Memo> elements_;
  std::map<const Op*, Op*> outside_;  // fusion body input -> operand
  std::map<const Op*, loop::Buffer> buffers_;
};

/// The sections that compute a value where it lies: one that writes the zeros around it if its
/// layout has padding, and then a nest of serial loops over its physical dimensions around a store.
/// A blocked dimension whose last block is not full has a second nest for that block.
class ResultWriter {
  /// Zeros that one thread writes sooner than several are woken.
  static constexpr int64_t kMaxSerialBorder = 1 << 16;

 public:
  using Element = std::function<Expr(const std::vector<Expr>& index)>;

  ResultWriter(const TensorType& type, const Location& location, loop::Buffer buffer)
      : type_(type), location_(location), buffer_(std::move(buffer)) {}

  void Write(const Element& element, std::vector<loop::Stmt>& sections) const {
    if (!type_.layout.padding.empty()) sections.push_back(Border());
    std::vector<int64_t> whole = type_.shape;
    const auto& blocks = type_.layout.blocks;
    const int64_t rest = blocks.size() == 1 ? type_.shape[blocks[0].dim] % blocks[0].size : 0;
    if (rest != 0) whole[blocks[0].dim] -= rest;
    if (ElementCount(whole) != 0) sections.push_back(Nest(element, whole, {}));
    if (rest == 0) return;
    std::vector<int64_t> last = type_.shape;
    last[blocks[0].dim] = rest;
    sections.push_back(Nest(element, last, {.dim = blocks[0].dim, .size = whole[blocks[0].dim]}));
  }

  /// Writes the zeros around the value: strips before and behind it in one padded dimension after
  /// the other, for each position in the dimensions outside the first padded one.
  loop::Stmt Border() const {
    const std::vector<Span> spans = Spans();
    size_t first = 0;
    int64_t images = 1;
    while (spans[first].low + spans[first].high == 0) images *= spans[first++].size;
    const Var image = loop::MakeVar("image", images);
    std::vector<Expr> outside;
    int64_t below = images;
    for (size_t i = 0; i < first; ++i) {
      below /= std::max<int64_t>(spans[i].size, 1);
      outside.push_back(loop::FloorMod(loop::FloorDiv(image, std::max<int64_t>(below, 1)),
                                       std::max<int64_t>(spans[i].size, 1)) +
                        spans[i].start);
    }
    std::vector<loop::Stmt> strips;
    for (size_t i = first; i < spans.size(); ++i) {
      const Span& span = spans[i];
      if (span.low > 0) strips.push_back(Strip(spans, i, span.start - span.low, span.low, outside));
      if (span.high > 0) {
        strips.push_back(Strip(spans, i, span.start + span.size, span.high, outside));
      }
    }
    int64_t inside = 1, all = 1;
    for (const Span& span : spans) {
      inside *= span.size;
      all *= span.low + span.size + span.high;
    }
    const bool parallel = all - inside > kMaxSerialBorder && images > 1;
    return loop::For(image, parallel ? loop::LoopKind::kParallel : loop::LoopKind::kSerial,
                     loop::Block(std::move(strips)));
  }

 private:
  /// Loops over the elements of a box of extents `box`; `start` is the dimension in which it does
  /// not begin at 0, and where it does. Where the value has one blocked dimension, a block that the
  /// box does not fill is looped over as far as the box goes.
  loop::Stmt Nest(const Element& element, const Shape& box, const Layout::Block& start) const {
    const Layout& layout = type_.layout;
    const size_t rank = box.size();
    const bool partial = layout.blocks.size() == 1;
    Shape outer = box;
    std::vector<int64_t> extents(rank);
    for (const Layout::Block& block : layout.blocks) {
      extents.push_back(partial ? std::min(block.size, outer[block.dim]) : block.size);
      outer[block.dim] = (outer[block.dim] + block.size - 1) / block.size;
    }
    for (size_t i = 0; i < rank; ++i) extents[i] = outer[LogicalDim(i)];
    std::vector<Var> vars;
    for (size_t i = 0; i < extents.size(); ++i) {
      vars.push_back(loop::MakeVar(StrCat("i", static_cast<int64_t>(i)), extents[i]));
    }
    std::vector<Expr> index(rank);
    for (size_t i = 0; i < rank; ++i) index[LogicalDim(i)] = vars[i];
    Expr inside;
    for (size_t b = 0; b < layout.blocks.size(); ++b) {
      const Layout::Block& block = layout.blocks[b];
      index[block.dim] = index[block.dim] * Expr(block.size) + Expr(vars[rank + b]);
    }
    if (start.size != 0) index[start.dim] = index[start.dim] + start.size;
    for (const Layout::Block& block : layout.blocks) {
      if (partial || type_.shape[block.dim] % block.size == 0) continue;
      const Expr exists = loop::Lt(index[block.dim], type_.shape[block.dim]);
      inside = inside.defined() ? loop::And(inside, exists) : exists;
    }
    Expr value = element(index);
    if (inside.defined()) value = loop::Select(inside, value, loop::Const(value.type(), 0));
    loop::Stmt body = loop::Store(
        buffer_, PhysicalIndex(location_.owner->type().layout, Shifted(index, location_.offset)),
        Narrow(value, type_.element));
    for (size_t i = vars.size(); i-- > 0;) body = loop::For(vars[i], body);
    return body;
  }

  size_t LogicalDim(size_t position) const {
    const std::vector<int>& order = type_.layout.order;
    return order.empty() ? position : static_cast<size_t>(order[position]);
  }

  /// What the value takes of one physical dimension of the buffer: the elements from `start` on,
  /// and the zeros around them.
  struct Span {
    int64_t low, start, size, high;
  };

  std::vector<Span> Spans() const {
    std::vector<Span> spans;
    const Shape physical = type_.layout.PhysicalShape(type_.shape);
    for (size_t i = 0; i < physical.size(); ++i) {
      if (i >= type_.shape.size()) {
        spans.push_back({0, 0, physical[i], 0});
        continue;
      }
      const auto d = static_cast<int>(LogicalDim(i));
      const Layout::Padding around = type_.layout.PaddingOf(d);
      int64_t start = location_.offset[d];
      for (const Layout::Block& block : type_.layout.blocks) {
        if (block.dim == d) start /= block.size;
      }
      spans.push_back(
          {around.low, start + around.low, physical[i] - around.low - around.high, around.high});
    }
    return spans;
  }

  /// Zeros over `size` positions from `start` on in dimension `at`; of the padded dimensions
  /// outside of it only the value's own positions, of those inside all.
  loop::Stmt Strip(const std::vector<Span>& spans, size_t at, int64_t start, int64_t size,
                   std::vector<Expr> index) const {
    std::vector<Var> vars;
    for (size_t i = index.size(); i < spans.size(); ++i) {
      Span span = spans[i];
      if (i == at) span = {0, start, size, 0};
      if (i > at) span = {0, span.start - span.low, span.low + span.size + span.high, 0};
      vars.push_back(loop::MakeVar(StrCat("i", static_cast<int64_t>(i)), span.size));
      index.push_back(Expr(vars.back()) + span.start);
    }
    loop::Stmt body = loop::Store(buffer_, index, loop::ConstInt(type_.element, 0));
    for (size_t i = vars.size(); i-- > 0;) body = loop::For(vars[i], body);
    return body;
  }

  const TensorType& type_;
  const Location& location_;
  loop::Buffer buffer_;
};

/// Adds the sections that compute `type` at `location` to the kernel.
void AddSections(const TensorType& type, const Location& location, const loop::Buffer& buffer,
                 const ResultWriter::Element& element, std::vector<loop::Stmt>& sections) {
  const size_t first = sections.size();
  ResultWriter(type, location, buffer).Write(element, sections);
  for (size_t i = first; i < sections.size(); ++i) {
    sections[i] = loop::MapExprs(sections[i], loop::Simplify);
  }
}

loop::Stmt AsBody(std::vector<loop::Stmt> sections) {
  return sections.size() == 1 ? sections[0] : loop::Block(std::move(sections));
}

void BuildElementKernel(Op& op, Op* root, const Locations& locations, BuiltKernel& built) {
  ElementBuilder builder(op, locations, built);
  const Location location = locations.Of(&op);
  const loop::Buffer result = BufferOfOwner("out0", location);
  std::vector<loop::Stmt> sections;
  AddSections(
      op.type(), location, result,
      [&](const std::vector<Expr>& index) { return builder.Element(root, index); }, sections);
  built.kernel.outputs = {result};
  built.kernel.body = AsBody(std::move(sections));
}

/// The operands that are not computed in place are copied, each by sections of its own.
void BuildConcatKernel(Op& op, const Locations& locations, BuiltKernel& built) {
  ElementBuilder builder(op, locations, built);
  Location location = locations.Of(&op);
  const loop::Buffer result = BufferOfOwner("out0", location);
  const int64_t axis = op.Int("axis");
  std::vector<loop::Stmt> sections;
  for (Op* const part : op.operands()) {
    const bool in_place = locations.IsPart(part) && locations.Of(part).owner == location.owner;
    if (!in_place && part->type().count() != 0) {
      TensorType type = part->type();
      type.layout = op.type().layout;
      AddSections(
          type, location, result,
          [&](const std::vector<Expr>& index) { return builder.LoadFrom(part, index); }, sections);
    }
    location.offset[axis] += part->shape()[axis];
  }
  built.kernel.outputs = {result};
  if (!sections.empty()) built.kernel.body = AsBody(std::move(sections));
}

Status BuildNestKernel(Op& op, const Locations& locations, BuiltKernel& built) {
  ElementBuilder builder(op, locations, built);
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

Status BuildStagedKernel(Op& op, Op* root, Op* staged, const Locations& locations,
                         BuiltKernel& built) {
  ElementBuilder builder(op, locations, built);
  const TensorType& type = op.type();
  const Location location = locations.Of(&op);
  const loop::Buffer result = BufferOfOwner("out0", location);
  StageContext context;
  context.read = builder.ReaderOf(staged);
  context.store = [&](const std::vector<Expr>& index, Expr value, Expr predicate) {
    const Expr stored = builder.Epilogue(root, staged, index, value);
    return loop::Store(
        result, PhysicalIndex(location.owner->type().layout, Shifted(index, location.offset)),
        Narrow(stored, type.element), predicate);
  };
  context.ChannelBlock = [&](int k) {
    return ChannelBlock(k < 0 ? type : staged->operand(static_cast<size_t>(k))->type());
  };
  KILN_ASSIGN_OR_RETURN(const Stages stages, staged->def().stages(*staged, context));
  built.kernel.outputs = {result};
  for (const loop::Buffer& buffer : stages.scratch) built.kernel.outputs.push_back(buffer);
  std::vector<loop::Stmt> sections;
  if (!type.layout.padding.empty()) {
    sections.push_back(ResultWriter(type, location, result).Border());
  }
  const bool several = stages.body->kind == loop::StmtKind::kBlock;
  const std::vector<loop::Stmt> parts = several ? stages.body->body : std::vector{stages.body};
  sections.insert(sections.end(), parts.begin(), parts.end());
  built.kernel.body = loop::MapExprs(AsBody(std::move(sections)), loop::Simplify);
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

StatusOr<BuiltKernel> BuildKernel(Op& op, const Locations& locations) {
  BuiltKernel built;
  built.kernel.name = op.name();
  Op* const root = op.body() != nullptr ? op.body()->outputs()[0].value : &op;
  if (Op* const staged = FindStaged(op)) {
    KILN_RETURN_IF_ERROR(BuildStagedKernel(op, root, staged, locations, built));
    return built;
  }
  if (op.Is("concat")) {
    BuildConcatKernel(op, locations, built);
  } else if (root->def().element) {
    BuildElementKernel(op, root, locations, built);
  } else if (root == &op && op.def().nest) {
    KILN_RETURN_IF_ERROR(BuildNestKernel(op, locations, built));
  } else {
    return InternalError("op '", root->kind(), "' has no lowering");
  }
  if (built.kernel.body != nullptr) built.flops = CountFlops(built.kernel.body);
  return built;
}

std::string OpLabel(const Op& op) { return op.sources().empty() ? op.name() : op.sources()[0]; }

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
