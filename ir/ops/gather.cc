// Ops that read a tensor at positions held in another tensor. Negative positions count from the
// end. A position outside of the dimension is an error in the reference evaluation; compiled code
// clamps it to the nearest one inside, and so never reads outside of the data.
#include <algorithm>

#include "ir/ops/gradient.h"
#include "ir/ops/op_table.h"
#include "ir/ops/shape_util.h"

namespace kiln {

namespace {

using loop::Expr;
using Indices = std::vector<Expr>;
using Operands = std::span<const Array* const>;

// A position from the indices, made safe for a dimension of `extent`.
Expr SafePosition(const Expr& read, int64_t extent) {
  const Expr position = loop::Cast(ElementType::kI64, read);
  const Expr from_start = Select(Lt(position, Expr(0)), position + Expr(extent), position);
  return Max(Min(from_start, Expr(extent - 1)), Expr(0));
}

StatusOr<int64_t> CheckedPosition(const Op& op, int64_t position, int64_t extent) {
  if (position >= -extent && position < extent) return position < 0 ? position + extent : position;
  return OpError(op, "index ", position, " is outside of a dimension of ", extent);
}

// An empty dimension has no position to read.
Status CheckNotEmpty(const Op& op, int64_t extent, const TensorType& result) {
  if (extent > 0 || result.count() == 0) return OkStatus();
  return OpError(op, "the data is empty, the result is not");
}

// ---- gather

StatusOr<TensorType> InferGather(const Op& op) {
  const TensorType& data = op.operand(0)->type();
  const Shape& indices = op.operand(1)->shape();
  const int64_t axis = op.Int("axis");
  KILN_RETURN_IF_ERROR(CheckIndexElement(op, 1));
  KILN_RETURN_IF_ERROR(CheckAxis(op, "axis", axis, data.rank()));
  TensorType type{data.element, data.shape};
  type.shape.erase(type.shape.begin() + axis);
  type.shape.insert(type.shape.begin() + axis, indices.begin(), indices.end());
  KILN_RETURN_IF_ERROR(CheckShape(op, type.element, type.shape));
  KILN_RETURN_IF_ERROR(CheckNotEmpty(op, data.shape[axis], type));
  return type;
}

// The dimensions [axis, axis + rank of the indices) of the result's index.
template <typename T>
std::vector<T> IndicesPart(const Op& op, const std::vector<T>& index) {
  const auto begin = index.begin() + op.Int("axis");
  return {begin, begin + op.operand(1)->type().rank()};
}

// The result's index with those dimensions replaced by `position`.
template <typename T>
std::vector<T> DataPart(const Op& op, const std::vector<T>& index, T position) {
  const auto begin = index.begin() + op.Int("axis");
  std::vector<T> source(index.begin(), begin);
  source.push_back(std::move(position));
  source.insert(source.end(), begin + op.operand(1)->type().rank(), index.end());
  return source;
}

Status EvaluateGather(const Op& op, Operands operands, Array& result) {
  const Array& data = *operands[0];
  const Array& indices = *operands[1];
  for (Index index(result.shape); index.valid(); index.Next()) {
    const int64_t found = indices.ints[Offset(indices.shape, IndicesPart(op, index.values()))];
    KILN_ASSIGN_OR_RETURN(const int64_t position,
                          CheckedPosition(op, found, data.shape[op.Int("axis")]));
    result.CopyElement(index.linear(), data,
                       Offset(data.shape, DataPart(op, index.values(), position)));
  }
  return OkStatus();
}

Expr GatherElement(const Op& op, const Reader& read, const Indices& index) {
  const int64_t extent = op.operand(0)->shape()[op.Int("axis")];
  const Expr position = SafePosition(read(1, IndicesPart(op, index)), extent);
  return read(0, DataPart(op, index, position));
}

// Gradients: dy is added up at the positions it was read from. (Of the indices there is none: they
// are integers.)

StatusOr<Op*> GatherGradient(Builder& b, Op& op, size_t k, Op* dy_op) {
  const GradientSite at{b, op, k, dy_op};
  const Shape &data = at.x(0).shape(), &indices = at.x(1).shape();
  const auto axis = static_cast<size_t>(op.Int("axis"));
  // The indexed dimensions go first.
  std::vector<int64_t> to_front, back;
  for (size_t d = 0; d < indices.size(); ++d) to_front.push_back(static_cast<int64_t>(axis + d));
  for (size_t d = 0; d < axis; ++d) {
    to_front.push_back(static_cast<int64_t>(d));
    back.push_back(static_cast<int64_t>(d + 1));
  }
  back.push_back(0);
  for (size_t d = axis + 1; d < data.size(); ++d) {
    to_front.push_back(static_cast<int64_t>(d + indices.size() - 1));
    back.push_back(static_cast<int64_t>(d));
  }
  Shape front = data;
  std::rotate(front.begin(), front.begin() + static_cast<int64_t>(axis),
              front.begin() + static_cast<int64_t>(axis) + 1);
  Shape rows = indices;
  rows.push_back(1);
  const Term dy = axis == 0 ? at.dy() : at.dy().Transpose(to_front);
  const Term dx(
      b, b.Make("scatter_nd", {Zeros(at.dy(), front).op(), at.x(1).Reshape(rows).op(), dy.op()},
                {{"reduction", "add"}}));
  return (axis == 0 ? dx : dx.Transpose(back)).op();
}

OpDef Gather() {
  return {.name = "gather",
          .doc =
              "Slices of the data, chosen on one dimension: y[a.., i.., b..] = data[a.., "
              "indices[i..], b..], where a.. are the dimensions before `axis`.",
          .operands = {{"data"}, {"indices"}},
          .attributes = {{"axis", Attribute::Kind::kInt, 0, "the dimension that is indexed"}},
          .traits = kMovement,
          .infer = InferGather,
          .evaluate = EvaluateGather,
          .element = GatherElement,
          .gradient = GatherGradient};
}

// ---- gather_elements

StatusOr<TensorType> InferGatherElements(const Op& op) {
  const TensorType& data = op.operand(0)->type();
  const Shape& indices = op.operand(1)->shape();
  const int64_t axis = op.Int("axis");
  KILN_RETURN_IF_ERROR(CheckIndexElement(op, 1));
  KILN_RETURN_IF_ERROR(CheckAxis(op, "axis", axis, data.rank()));
  if (indices.size() != data.shape.size()) {
    return OpError(op, "data and indices must have the same rank");
  }
  for (int64_t d = 0; d < data.rank(); ++d) {
    if (d != axis && indices[d] > data.shape[d]) {
      return OpError(op, "indices must not be larger than the data in dimension ", d);
    }
  }
  TensorType type{data.element, indices};
  KILN_RETURN_IF_ERROR(CheckShape(op, type.element, type.shape));
  KILN_RETURN_IF_ERROR(CheckNotEmpty(op, data.shape[axis], type));
  return type;
}

Status EvaluateGatherElements(const Op& op, Operands operands, Array& result) {
  const Array& data = *operands[0];
  const int64_t axis = op.Int("axis");
  for (Index index(result.shape); index.valid(); index.Next()) {
    std::vector<int64_t> source = index.values();
    KILN_ASSIGN_OR_RETURN(source[axis],
                          CheckedPosition(op, operands[1]->ints[index.linear()], data.shape[axis]));
    result.CopyElement(index.linear(), data, Offset(data.shape, source));
  }
  return OkStatus();
}

Expr GatherElementsElement(const Op& op, const Reader& read, const Indices& index) {
  const int64_t axis = op.Int("axis");
  Indices source = index;
  source[axis] = SafePosition(read(1, index), op.operand(0)->shape()[axis]);
  return read(0, source);
}

OpDef GatherElements() {
  return {.name = "gather_elements",
          .doc = "Single elements of the data: y[i] = data[i with i[axis] replaced by indices[i]].",
          .operands = {{"data"}, {"indices"}},
          .attributes = {{"axis", Attribute::Kind::kInt, 0, "the dimension that is indexed"}},
          .traits = kMovement,
          .infer = InferGatherElements,
          .evaluate = EvaluateGatherElements,
          .element = GatherElementsElement,
          .gradient = [](Builder& b, Op& op, size_t k, Op* dy) {
            const GradientSite at{b, op, k, dy};
            return b.Make("scatter_elements",
                          {Zeros(at.dy(), at.x(0).shape()).op(), op.operand(1), dy},
                          {{"axis", op.Int("axis")}, {"reduction", "add"}});
          }};
}

// ---- gather_nd

StatusOr<TensorType> InferGatherNd(const Op& op) {
  const TensorType& data = op.operand(0)->type();
  const TensorType& indices = op.operand(1)->type();
  const int64_t batch = op.Int("batch_dims");
  KILN_RETURN_IF_ERROR(CheckIndexElement(op, 1));
  if (data.rank() == 0 || indices.rank() == 0) {
    return OpError(op, "data and indices must have a dimension at least");
  }
  KILN_RETURN_IF_ERROR(
      CheckRange(op, "batch_dims", batch, 0, std::min(data.rank(), indices.rank()) - 1));
  for (int64_t d = 0; d < batch; ++d) {
    if (data.shape[d] != indices.shape[d]) {
      return OpError(op, "data and indices must agree in the batch dimension ", d);
    }
  }
  const int64_t depth = indices.shape.back();
  KILN_RETURN_IF_ERROR(CheckRange(op, "the last extent of indices", depth, 1, data.rank() - batch));
  TensorType type{data.element, Shape(indices.shape.begin(), indices.shape.end() - 1)};
  type.shape.insert(type.shape.end(), data.shape.begin() + batch + depth, data.shape.end());
  KILN_RETURN_IF_ERROR(CheckShape(op, type.element, type.shape));
  for (int64_t d = 0; d < depth; ++d) {
    KILN_RETURN_IF_ERROR(CheckNotEmpty(op, data.shape[batch + d], type));
  }
  return type;
}

// The index of data where `position` of type T gives coordinate j; the dimensions before are the
// batch, those behind are the tail of the result's index.
template <typename T, typename Position>
std::vector<T> NdSource(const Op& op, const std::vector<T>& index, const Position& position) {
  const Shape& indices = op.operand(1)->shape();
  const int64_t batch = op.Int("batch_dims");
  std::vector<T> source(index.begin(), index.begin() + batch);
  for (int64_t j = 0; j < indices.back(); ++j) source.push_back(position(j));
  source.insert(source.end(), index.begin() + indices.size() - 1, index.end());
  return source;
}

Status EvaluateGatherNd(const Op& op, Operands operands, Array& result) {
  const Array& data = *operands[0];
  const Array& indices = *operands[1];
  const int64_t depth = indices.shape.back();
  const int64_t batch = op.Int("batch_dims");
  for (Index index(result.shape); index.valid(); index.Next()) {
    const std::vector<int64_t> row(index.values().begin(),
                                   index.values().begin() + indices.shape.size() - 1);
    const Shape rows(indices.shape.begin(), indices.shape.end() - 1);
    const int64_t* const coordinates = &indices.ints[Offset(rows, row) * depth];
    for (int64_t j = 0; j < depth; ++j) {
      KILN_RETURN_IF_ERROR(CheckedPosition(op, coordinates[j], data.shape[batch + j]).status());
    }
    const auto source = NdSource(op, index.values(), [&](int64_t j) {
      return coordinates[j] < 0 ? coordinates[j] + data.shape[batch + j] : coordinates[j];
    });
    result.CopyElement(index.linear(), data, Offset(data.shape, source));
  }
  return OkStatus();
}

Expr GatherNdElement(const Op& op, const Reader& read, const Indices& index) {
  const Op& indices = *op.operand(1);
  const Shape& data = op.operand(0)->shape();
  const int64_t batch = op.Int("batch_dims");
  return read(0, NdSource(op, index, [&](int64_t j) {
                Indices at(index.begin(), index.begin() + indices.type().rank() - 1);
                at.push_back(Expr(j));
                return SafePosition(read(1, at), data[batch + j]);
              }));
}

// scatter_nd knows no batch: the batch's own coordinates are put before the others.
StatusOr<Op*> GatherNdGradient(Builder& b, Op& op, size_t k, Op* dy_op) {
  const GradientSite at{b, op, k, dy_op};
  Shape column = at.x(1).shape();
  column.back() = 1;
  std::vector<StatusOr<Op*>> parts;
  for (int64_t d = 0; d < op.Int("batch_dims"); ++d) {
    parts.push_back(
        b.Make("iota", {}, {{"shape", column}, {"axis", d}, {"element", at.x(1).element()}}));
  }
  parts.push_back(at.x(1).op());
  const auto indices =
      parts.size() == 1
          ? parts[0]
          : b.Make("concat", parts, {{"axis", static_cast<int64_t>(column.size()) - 1}});
  return b.Make("scatter_nd", {Zeros(at.dy(), at.x(0).shape()).op(), indices, dy_op},
                {{"reduction", "add"}});
}

OpDef GatherNd() {
  return {.name = "gather_nd",
          .doc =
              "Slices of the data at coordinates: y[b.., i.., t..] = data[b.., c.., t..], where "
              "the coordinates c.. are the row indices[b.., i.., :] and b.. are the batch "
              "dimensions.",
          .operands = {{"data"}, {"indices"}},
          .attributes = {{"batch_dims", Attribute::Kind::kInt, 0,
                          "how many leading dimensions data and indices share"}},
          .traits = kMovement,
          .infer = InferGatherNd,
          .evaluate = EvaluateGatherNd,
          .element = GatherNdElement,
          .gradient = GatherNdGradient};
}

}  // namespace

std::vector<OpDef> GatherOps() { return {Gather(), GatherElements(), GatherNd()}; }

}  // namespace kiln
