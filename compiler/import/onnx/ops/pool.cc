// Pools: a reduction over a sliding window or over all spatial dimensions.
#include "compiler/import/foreign/build.h"
#include "compiler/import/onnx/node.h"
#include "compiler/import/onnx/ops/window.h"

namespace kiln::onnx_import {

namespace {

struct Pool {
  Op* x;
  Window window;
  std::vector<int64_t> ceil_pads_high;  // the part of pads_high that rounding up added
};

StatusOr<Pool> ReadPool(Node& n) {
  Pool pool;
  KILN_ASSIGN_OR_RETURN(pool.x, n.operand(0));
  KILN_ASSIGN_OR_RETURN(const Shape spatial, SpatialShape(pool.x->type()));
  KILN_ASSIGN_OR_RETURN(pool.window, ReadWindow(n, spatial, n.Ints("kernel_shape")));
  pool.ceil_pads_high.assign(spatial.size(), 0);
  if (n.Int("ceil_mode") != 0) pool.ceil_pads_high = RoundUp(pool.window, spatial);
  return pool;
}

Status MaxPool(Node& n) {
  KILN_ASSIGN_OR_RETURN(const Pool pool, ReadPool(n));
  const AttributeMap attributes = pool.window.PoolAttributes();
  KILN_RETURN_IF_ERROR(n.Result(0, n.Make("max_pool", {pool.x}, attributes)));
  if (!n.Wants(1)) return OkStatus();
  AttributeMap with_order = attributes;
  with_order.emplace("storage_order", n.Int("storage_order", 0));
  return n.Result(1, n.Make("max_pool_indices", {pool.x}, std::move(with_order)));
}

Status AveragePool(Node& n) {
  KILN_ASSIGN_OR_RETURN(const Pool pool, ReadPool(n));
  AttributeMap attributes = pool.window.PoolAttributes();
  attributes.emplace("count_include_pad", n.Int("count_include_pad") != 0);
  attributes.emplace("ceil_pads_high", pool.ceil_pads_high);
  return n.Result(n.Make("avg_pool", {pool.x}, std::move(attributes)));
}

Status LpPool(Node& n) {
  KILN_ASSIGN_OR_RETURN(const Pool pool, ReadPool(n));
  AttributeMap attributes = pool.window.PoolAttributes();
  attributes.emplace("p", n.Int("p", 2));
  return n.Result(n.Make("lp_pool", {pool.x}, std::move(attributes)));
}

Status GlobalPool(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.operand(0));
  KILN_RETURN_IF_ERROR(SpatialShape(x->type()).status());
  return n.Result(Reduce(n.builder(), n.op().kind, x, AxesFrom(2, Rank(x)), true));
}

// (sum |x|^p)^(1/p)
Status GlobalLpPool(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.operand(0));
  KILN_RETURN_IF_ERROR(SpatialShape(x->type()).status());
  const auto p = static_cast<double>(n.Int("p", 2));
  if (p < 1) return InvalidInput("attribute 'p' is ", n.Int("p"));
  const ElementType type = x->element();
  const StatusOr<Op*> powers = n.Make("pow", {n.Make("abs", {x}), b.Scalar(type, p)});
  const StatusOr<Op*> sum = Reduce(b, "reduce_sum", powers, AxesFrom(2, Rank(x)), true);
  return n.Result(n.Make("pow", {sum, b.Scalar(type, 1 / p)}));
}

// The shape that a pool with this window turned into `pooled`.
StatusOr<Shape> UnpooledShape(const Shape& pooled, const Window& window) {
  Shape shape(pooled.begin(), pooled.begin() + 2);
  for (size_t d = 0; d < window.rank(); ++d) {
    shape.push_back((pooled[d + 2] - 1) * window.strides[d] + window.kernel[d] -
                    window.pads_low[d] - window.pads_high[d]);
  }
  KILN_RETURN_IF_ERROR(CheckedByteSize(ElementType::kI64, shape).status());
  return shape;
}

// Puts each value where its index in the flat unpooled tensor says; zeros elsewhere. A larger
// output_shape adds zeros behind.
Status MaxUnpool(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.operand(0));
  KILN_ASSIGN_OR_RETURN(const Shape spatial, SpatialShape(x->type()));
  KILN_ASSIGN_OR_RETURN(const Window window, ReadWindow(n, spatial, n.Ints("kernel_shape")));
  KILN_ASSIGN_OR_RETURN(const Shape shape, UnpooledShape(x->shape(), window));
  const StatusOr<Op*> zeros = b.Broadcast(b.Scalar(x->element(), 0), {ElementCount(shape)});
  const Shape flat = {x->type().count()};
  const StatusOr<Op*> y =
      b.Reshape(n.Make("scatter_elements",
                       {zeros, b.Reshape(n.operand(1), flat), b.Reshape(x, flat)}, {{"axis", 0}}),
                shape);
  if (!n.Has(2)) return n.Result(y);
  KILN_ASSIGN_OR_RETURN(const Shape output, n.KnownInts(2, "output_shape"));
  KILN_RETURN_IF_ERROR(CheckedByteSize(ElementType::kI64, output).status());
  if (output.size() != shape.size()) {
    return InvalidInput("operand 'output_shape' is ", FormatInts(output));
  }
  std::vector<int64_t> high;
  for (size_t d = 0; d < shape.size(); ++d) high.push_back(output[d] - shape[d]);
  return n.Result(
      n.Make("pad", {y}, {{"low", std::vector<int64_t>(shape.size(), 0)}, {"high", high}}));
}

}  // namespace

std::vector<OnnxOp> PoolOps() {
  std::vector<OnnxOp> ops;
  const std::vector<AttributeSpec> window = {Required(Ints("kernel_shape")), Ints("strides"),
                                             Ints("pads"), String("auto_pad")};
  const auto with = [&window](std::vector<AttributeSpec> more) {
    more.insert(more.begin(), window.begin(), window.end());
    return more;
  };
  const std::string limits = "1 to 3 spatial dimensions";
  ops.push_back({.name = "MaxPool",
                 .handler = MaxPool,
                 .max_results = 2,
                 .attributes = with({Since(8, Int("storage_order")), Since(10, Ints("dilations")),
                                     Since(10, Int("ceil_mode"))}),
                 .limits = limits});
  ops.push_back({.name = "AveragePool",
                 .handler = AveragePool,
                 .attributes = with({Since(7, Int("count_include_pad")),
                                     Since(10, Int("ceil_mode")), Since(19, Ints("dilations"))}),
                 .limits = limits});
  ops.push_back(
      {.name = "LpPool",
       .handler = LpPool,
       .attributes = with({Int("p"), Since(18, Int("ceil_mode")), Since(18, Ints("dilations"))}),
       .first = 2,
       .limits = limits});
  ops.push_back({.name = "GlobalAveragePool", .handler = GlobalPool, .kind = "reduce_mean"});
  ops.push_back({.name = "GlobalMaxPool", .handler = GlobalPool, .kind = "reduce_max"});
  ops.push_back(
      {.name = "GlobalLpPool", .handler = GlobalLpPool, .attributes = {Int("p")}, .first = 2});
  ops.push_back({.name = "MaxUnpool",
                 .handler = MaxUnpool,
                 .operands = {2, 3},
                 .attributes = {Required(Ints("kernel_shape")), Ints("strides"), Ints("pads")},
                 .limits = "known output_shape"});
  return ops;
}

}  // namespace kiln::onnx_import
