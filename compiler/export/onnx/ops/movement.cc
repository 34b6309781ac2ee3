// Ops that move elements.
#include "compiler/export/onnx/node_writer.h"

namespace kiln::onnx_export {

namespace {

// A 0 in ONNX's shape keeps the operand's extent, unless allowzero is set.
Status Reshape(NodeWriter& n) {
  std::vector<int64_t> shape = n.op().shape();
  const Shape& from = n.op().operand(0)->shape();
  bool has_zero = false;
  for (const int64_t extent : shape) has_zero |= extent == 0;
  if (has_zero) {
    return n.Result("Reshape", {n.operand(0), n.Indices(shape)}, {Int("allowzero", 1)});
  }
  if (n.open_batch() && !from.empty() && from[0] == shape[0]) shape[0] = 0;
  return n.Result("Reshape", {n.operand(0), n.Indices(shape)});
}

Status Transpose(NodeWriter& n) {
  return n.Result("Transpose", {n.operand(0)}, {Ints("perm", n.op().Ints("perm"))});
}

Status Broadcast(NodeWriter& n) {
  return n.Result("Expand", {n.operand(0), n.Indices(n.op().shape())});
}

Status Concat(NodeWriter& n) {
  return n.Result("Concat", n.operands(), {Int("axis", n.op().Int("axis"))});
}

// Only the dimensions that are cut. An end before the first element is the lowest number.
Status Slice(NodeWriter& n) {
  std::vector<int64_t> starts, ends, axes, steps;
  const Shape& from = n.op().operand(0)->shape();
  for (size_t d = 0; d < from.size(); ++d) {
    const int64_t start = n.op().Ints("starts")[d], size = n.op().Ints("sizes")[d];
    const int64_t stride = n.op().Ints("strides")[d];
    if (start == 0 && stride == 1 && size == from[d]) continue;
    const int64_t end = start + size * stride;
    starts.push_back(start);
    ends.push_back(end < 0 ? INT64_MIN : end);
    axes.push_back(static_cast<int64_t>(d));
    steps.push_back(stride);
  }
  if (axes.empty()) return n.Result("Identity", {n.operand(0)});
  return n.Result("Slice", {n.operand(0), n.Indices(starts), n.Indices(ends), n.Indices(axes),
                            n.Indices(steps)});
}

Status Pad(NodeWriter& n) {
  const std::string& mode = n.op().String("mode");
  std::vector<int64_t> pads = n.op().Ints("low");
  pads.insert(pads.end(), n.op().Ints("high").begin(), n.op().Ints("high").end());
  Names inputs = {n.operand(0), n.Indices(pads)};
  const double value = n.op().Double("value");
  if (mode == "constant" && value != 0) inputs.push_back(n.Scalar(value));
  return n.Result("Pad", inputs, {String("mode", mode)});
}

Status Gather(NodeWriter& n) {
  return n.Result("Gather", n.operands(), {Int("axis", n.op().Int("axis"))});
}

Status GatherElements(NodeWriter& n) {
  return n.Result("GatherElements", n.operands(), {Int("axis", n.op().Int("axis"))});
}

Status GatherNd(NodeWriter& n) {
  return n.Result("GatherND", n.operands(), {Int("batch_dims", n.op().Int("batch_dims"))});
}

Status ScatterElements(NodeWriter& n) {
  return n.Result(
      "ScatterElements", n.operands(),
      {Int("axis", n.op().Int("axis")), String("reduction", n.op().String("reduction"))});
}

Status ScatterNd(NodeWriter& n) {
  return n.Result("ScatterND", n.operands(), {String("reduction", n.op().String("reduction"))});
}

// The counts along the axis, repeated.
Status Iota(NodeWriter& n) {
  const Shape& shape = n.op().shape();
  const auto axis = static_cast<size_t>(n.op().Int("axis"));
  Shape row(shape.size(), 1);
  row[axis] = shape[axis];
  std::vector<int64_t> counts;
  for (int64_t i = 0; i < shape[axis]; ++i) counts.push_back(i);
  Tensor values = Tensor::FromInts(ElementType::kI64, row, counts);
  if (IsFloat(n.element())) {
    values = Tensor::FromDoubles(n.element(), row, {counts.begin(), counts.end()});
  } else {
    values = Tensor::FromInts(n.element(), row, counts);
  }
  return n.Result("Expand", {n.Constant(values), n.Indices(shape)});
}

}  // namespace

std::vector<OpWriter> MovementWriters() {
  return {{"reshape", Reshape, ""},      {"transpose", Transpose, ""},
          {"broadcast", Broadcast, ""},  {"concat", Concat, ""},
          {"slice", Slice, ""},          {"pad", Pad, ""},
          {"gather", Gather, ""},        {"gather_elements", GatherElements, ""},
          {"gather_nd", GatherNd, ""},   {"scatter_elements", ScatterElements, ""},
          {"scatter_nd", ScatterNd, ""}, {"iota", Iota, ""}};
}

}  // namespace kiln::onnx_export
