// Ops that write updates into a copy of a tensor at positions held in another tensor. Updates are
// applied in row-major order, so with "none" the last one to a place stays. Negative positions
// count from the end. A position outside is an error in the reference evaluation; compiled code
// leaves that update out, and so never writes outside of the result.
#include <functional>
#include <optional>

#include "ir/eval/scalar.h"
#include "ir/ops/gradient.h"
#include "ir/ops/op_table.h"
#include "ir/ops/shape_util.h"

namespace kiln {

namespace {

using loop::BinaryOp;
using loop::Expr;
using Indices = std::vector<Expr>;
using Operands = std::span<const Array* const>;

// What an update does to the element there; none: it replaces it.
std::optional<BinaryOp> Reduction(const Op& op) {
  const std::string& name = op.String("reduction");
  if (name == "add") return BinaryOp::kAdd;
  if (name == "mul") return BinaryOp::kMul;
  if (name == "max") return BinaryOp::kMax;
  if (name == "min") return BinaryOp::kMin;
  return std::nullopt;
}

Status CheckScatter(const Op& op) {
  KILN_RETURN_IF_ERROR(CheckRowMajor(op));
  KILN_RETURN_IF_ERROR(CheckIndexElement(op, 1));
  KILN_RETURN_IF_ERROR(CheckChoice(op, "reduction", {"none", "add", "mul", "max", "min"}));
  if (op.operand(2)->element() != op.operand(0)->element()) {
    return OpError(op, "data and updates must have the same element type");
  }
  if (op.operand(0)->type().rank() == 0) return OpError(op, "data must have a dimension at least");
  return op.String("reduction") == "none" ? OkStatus() : CheckNumeric(op);
}

// Writes element `from` of `updates` to `at` of `result`.
void ApplyUpdate(const Op& op, const Array& updates, int64_t from, Array& result, int64_t at) {
  Scalar value = GetElement(updates, from);
  if (const auto reduction = Reduction(op)) {
    value = ApplyBinary(*reduction, result.element, GetElement(result, at), value);
  }
  SetElement(result, at, value);
}

Status PositionError(const Op& op, int64_t position, int64_t extent) {
  return OpError(op, "index ", position, " is outside of a dimension of ", extent);
}

// Serial loops over `shape` around what `body` makes of their variables.
loop::Stmt LoopsOver(const Shape& shape, const char* name,
                     const std::function<loop::Stmt(const Indices&)>& body) {
  std::vector<loop::Var> vars;
  Indices index;
  for (const int64_t extent : shape) {
    vars.push_back(loop::MakeVar(StrCat(name, vars.size()), extent));
    index.push_back(Expr(vars.back()));
  }
  loop::Stmt stmt = body(index);
  for (size_t d = vars.size(); d-- > 0;) stmt = For(vars[d], stmt);
  return stmt;
}

// `position`, which may be negative, counted from the start of a dimension of `extent`; adds the
// condition that it is inside to `inside`.
Expr PositionFromStart(const Expr& loaded, int64_t extent, Expr& inside) {
  const Expr read = loop::Cast(ElementType::kI64, loaded);
  const Expr position = Select(Lt(read, Expr(0)), read + Expr(extent), read);
  const Expr valid = And(Ge(position, Expr(0)), Lt(position, Expr(extent)));
  inside = inside.defined() ? And(inside, valid) : valid;
  return position;
}

// Copies the data, then applies the update at each index of updates; `target` gives the place in
// the result and adds its condition.
loop::Stmt ScatterNest(const Op& op, const NestContext& context,
                       const std::function<Indices(const Indices&, Expr& inside)>& target) {
  const loop::Stmt copy = LoopsOver(op.shape(), "d", [&](const Indices& index) {
    return context.Store(context.result, index, context.Load(context.operands[0], index));
  });
  const loop::Stmt update = LoopsOver(op.operand(2)->shape(), "u", [&](const Indices& index) {
    Expr inside;
    const Indices at = target(index, inside);
    Expr value = context.Load(context.operands[2], index);
    if (const auto reduction = Reduction(op)) {
      value = Binary(*reduction, context.Load(context.result, at), value);
    }
    return context.Store(context.result, at, value, inside);
  });
  return loop::Block({copy, update});
}

// dL/d(data) and dL/d(updates), where `gather` reads dy as the updates were written. With "none"
// the places must differ: which of several updates has stayed is not traced.
StatusOr<Op*> ScatterGradient(Builder& b, Op& op, size_t k, Op* dy,
                              const std::function<StatusOr<Op*>()>& gather) {
  const std::string& reduction = op.String("reduction");
  if (reduction != "none" && reduction != "add") {
    return Unsupported(op.kind(), " with reduction \"", reduction, "\" has no gradient");
  }
  if (k == 2) return gather();
  if (reduction == "add") return dy;
  const auto zeros = Zeros(Term(b, dy), op.operand(2)->shape()).op();
  return b.Make(op.kind(), {dy, op.operand(1), zeros}, op.attributes());
}

// ---- scatter_elements

StatusOr<TensorType> InferScatterElements(const Op& op) {
  KILN_RETURN_IF_ERROR(CheckScatter(op));
  const TensorType& data = op.operand(0)->type();
  const Shape& indices = op.operand(1)->shape();
  KILN_RETURN_IF_ERROR(CheckAxis(op, "axis", op.Int("axis"), data.rank()));
  if (op.operand(2)->shape() != indices) {
    return OpError(op, "indices and updates must have the same shape");
  }
  if (indices.size() != data.shape.size()) {
    return OpError(op, "data and indices must have the same rank");
  }
  for (int64_t d = 0; d < data.rank(); ++d) {
    if (d != op.Int("axis") && indices[d] > data.shape[d]) {
      return OpError(op, "indices must not be larger than the data in dimension ", d);
    }
  }
  return TensorType{data.element, data.shape};
}

Status EvaluateScatterElements(const Op& op, Operands operands, Array& result) {
  const int64_t axis = op.Int("axis");
  result = *operands[0];
  for (Index index(operands[1]->shape); index.valid(); index.Next()) {
    const int64_t position = operands[1]->ints[index.linear()];
    const int64_t extent = result.shape[axis];
    if (position < -extent || position >= extent) return PositionError(op, position, extent);
    std::vector<int64_t> at = index.values();
    at[axis] = position < 0 ? position + extent : position;
    ApplyUpdate(op, *operands[2], index.linear(), result, Offset(result.shape, at));
  }
  return OkStatus();
}

StatusOr<loop::Stmt> ScatterElementsNest(const Op& op, const NestContext& context) {
  return ScatterNest(op, context, [&](const Indices& index, Expr& inside) {
    const int64_t axis = op.Int("axis");
    Indices at = index;
    at[axis] =
        PositionFromStart(context.Load(context.operands[1], index), op.shape()[axis], inside);
    return at;
  });
}

AttributeDef ReductionAttribute() {
  return {"reduction", Attribute::Kind::kString, "none",
          "\"none\" (replace), \"add\", \"mul\", \"max\" or \"min\" with what is there"};
}

OpDef ScatterElements() {
  return {.name = "scatter_elements",
          .doc =
              "The data, then for every i in order: y[i with i[axis] replaced by indices[i]] = "
              "updates[i], or its reduction with what is there.",
          .operands = {{"data"}, {"indices"}, {"updates"}},
          .attributes = {{"axis", Attribute::Kind::kInt, 0, "the dimension that is indexed"},
                         ReductionAttribute()},
          .infer = InferScatterElements,
          .evaluate = EvaluateScatterElements,
          .nest = ScatterElementsNest,
          .gradient = [](Builder& b, Op& op, size_t k, Op* dy) {
            return ScatterGradient(b, op, k, dy, [&] {
              return b.Make("gather_elements", {dy, op.operand(1)}, {{"axis", op.Int("axis")}});
            });
          }};
}

// ---- scatter_nd

StatusOr<TensorType> InferScatterNd(const Op& op) {
  KILN_RETURN_IF_ERROR(CheckScatter(op));
  const TensorType& data = op.operand(0)->type();
  const Shape& indices = op.operand(1)->shape();
  if (indices.empty()) return OpError(op, "indices must have a dimension at least");
  KILN_RETURN_IF_ERROR(
      CheckRange(op, "the last extent of indices", indices.back(), 1, data.rank()));
  Shape expected(indices.begin(), indices.end() - 1);
  expected.insert(expected.end(), data.shape.begin() + indices.back(), data.shape.end());
  if (op.operand(2)->shape() != expected) {
    return OpError(op, "updates must have the shape ", FormatInts(expected));
  }
  return TensorType{data.element, data.shape};
}

Status EvaluateScatterNd(const Op& op, Operands operands, Array& result) {
  const Array& indices = *operands[1];
  const int64_t depth = indices.shape.back();
  const size_t lead = indices.shape.size() - 1;
  const Shape rows(indices.shape.begin(), indices.shape.end() - 1);
  result = *operands[0];
  for (Index index(operands[2]->shape); index.valid(); index.Next()) {
    const auto tail = index.values().begin() + lead;
    const int64_t row = Offset(rows, {index.values().begin(), tail});
    std::vector<int64_t> at;
    for (int64_t j = 0; j < depth; ++j) {
      const int64_t position = indices.ints[row * depth + j];
      const int64_t extent = result.shape[j];
      if (position < -extent || position >= extent) return PositionError(op, position, extent);
      at.push_back(position < 0 ? position + extent : position);
    }
    at.insert(at.end(), tail, index.values().end());
    ApplyUpdate(op, *operands[2], index.linear(), result, Offset(result.shape, at));
  }
  return OkStatus();
}

StatusOr<loop::Stmt> ScatterNdNest(const Op& op, const NestContext& context) {
  return ScatterNest(op, context, [&](const Indices& index, Expr& inside) {
    const Shape& indices = op.operand(1)->shape();
    const auto tail = index.begin() + indices.size() - 1;
    Indices at;
    for (int64_t j = 0; j < indices.back(); ++j) {
      Indices row(index.begin(), tail);
      row.push_back(Expr(j));
      at.push_back(
          PositionFromStart(context.Load(context.operands[1], row), op.shape()[j], inside));
    }
    at.insert(at.end(), tail, index.end());
    return at;
  });
}

OpDef ScatterNd() {
  return {.name = "scatter_nd",
          .doc =
              "The data, then for every i.. and t.. in order: y[c.., t..] = updates[i.., t..], "
              "or its reduction with what is there; the coordinates c.. are the row "
              "indices[i.., :].",
          .operands = {{"data"}, {"indices"}, {"updates"}},
          .attributes = {ReductionAttribute()},
          .infer = InferScatterNd,
          .evaluate = EvaluateScatterNd,
          .nest = ScatterNdNest,
          .gradient = [](Builder& b, Op& op, size_t k, Op* dy) {
            return ScatterGradient(b, op, k, dy,
                                   [&] { return b.Make("gather_nd", {dy, op.operand(1)}); });
          }};
}

}  // namespace

std::vector<OpDef> ScatterOps() { return {ScatterElements(), ScatterNd()}; }

}  // namespace kiln
