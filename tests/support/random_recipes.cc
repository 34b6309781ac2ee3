// How the random generator draws each kind of op. A recipe may propose what is not valid: the
// builder refuses it, and the generator tries something else.
#include <algorithm>
#include <map>
#include <numeric>

#include "tests/support/graph_generator.h"

namespace kiln {

namespace {

using Generator = GraphGenerator;
using Ints = std::vector<int64_t>;

bool HasElements(const Op& op) { return op.type().count() > 0; }

Op* AnyValue(Generator& g, int min_rank = 0) {
  Op* const value = g.Value([&](const Op& op) { return op.type().rank() >= min_rank; });
  return value != nullptr ? value : g.Leaf(g.float_type(), g.RandomShape(min_rank, 4));
}

int64_t RandomAxis(Generator& g, const Op& op) { return g.random().Int(0, op.type().rank() - 1); }

// ---- elementwise

// A shape that broadcasts with `shape`: some dimensions 1, some leading ones left out.
Shape BroadcastPartner(Generator& g, Shape shape) {
  for (int64_t& extent : shape) {
    if (g.random().Chance(0.25)) extent = 1;
  }
  while (!shape.empty() && g.random().Chance(0.15)) shape.erase(shape.begin());
  return shape;
}

Op* Partner(Generator& g, const Op& x, ElementType element) {
  Op* const value = g.Value([&](const Op& op) {
    return op.element() == element && BroadcastShapes(op.shape(), x.shape()).ok();
  });
  if (value != nullptr && g.random().Chance(0.6)) return value;
  return g.Leaf(element, BroadcastPartner(g, x.shape()));
}

// Many functions are defined, or well-conditioned, on a part of the numbers only.
StatusOr<Op*> IntoDomain(Generator& g, Op* x) {
  if (!IsFloat(x->element())) return x;
  Builder& b = g.builder();
  switch (g.random().Int(0, 3)) {
    case 0: return b.AddScalar(b.Make("abs", {x}), 1.25);
    case 1: return b.MulScalar(b.Make("tanh", {x}), 0.75);
    default: return x;
  }
}

Op* OperandOfRandomType(Generator& g) {
  const ElementType element = g.random().Pick<ElementType>(
      {g.float_type(), g.float_type(), g.float_type(), g.float_type(), g.float_type(),
       g.float_type(), g.float_type(), ElementType::kI32, ElementType::kI64, ElementType::kU8,
       ElementType::kI8, ElementType::kBool});
  Op* const value = g.Value([&](const Op& op) { return op.element() == element; });
  return value != nullptr && g.random().Chance(0.8) ? value : g.Leaf(element, g.RandomShape(0, 4));
}

// Booleans and numbers other than the default now and then.
AttributeMap RandomAttributes(Generator& g, const OpDef& def) {
  AttributeMap attributes;
  for (const AttributeDef& attribute : def.attributes) {
    if (g.random().Chance(0.5)) continue;
    if (attribute.kind == Attribute::Kind::kBool) {
      attributes.emplace(attribute.name, g.random().Chance(0.5));
    } else if (attribute.kind == Attribute::Kind::kDouble) {
      attributes.emplace(attribute.name, std::round(g.random().Uniform(0.5, 1.5) * 64) / 64);
    }
  }
  return attributes;
}

// Whether rounding elsewhere decides the result: f16 and bf16 have so few values that computed ones
// are often equal, or not, by how they were rounded on the way.
bool ComparesRounded(const OpDef& def, const Op& x) {
  return IsFloat(x.element()) && ByteSize(x.element()) < 4 &&
         (def.name == "equal" || def.name.starts_with("less") || def.name.starts_with("greater"));
}

StatusOr<Op*> Elementwise(Generator& g, const OpDef& def) {
  KILN_ASSIGN_OR_RETURN(Op * x, IntoDomain(g, OperandOfRandomType(g)));
  if (ComparesRounded(def, *x)) {
    x = g.Leaf(x->element(), x->shape());
    return g.builder().Make(def.name, {x, g.Leaf(x->element(), BroadcastPartner(g, x->shape()))});
  }
  std::vector<StatusOr<Op*>> operands = {x};
  while (operands.size() < def.operands.size()) operands.push_back(Partner(g, *x, x->element()));
  return g.builder().Make(def.name, operands, RandomAttributes(g, def));
}

StatusOr<Op*> Where(Generator& g) {
  Op* const a = AnyValue(g);
  return g.builder().Make("where",
                          {Partner(g, *a, ElementType::kBool), a, Partner(g, *a, a->element())});
}

StatusOr<Op*> Clip(Generator& g) {
  const double low = g.random().Int(-3, 1);
  return g.builder().Make("clip", {OperandOfRandomType(g)},
                          {{"min", low}, {"max", low + g.random().Int(0, 3)}});
}

// Of a leaf: of computed values, whose last bits differ, it would now and then be another step.
StatusOr<Op*> RoundToFloat(Generator& g) {
  const int64_t low = g.random().Int(-8, 0);
  return g.builder().Make("round_to_float", {g.Leaf(g.float_type(), g.RandomShape(0, 4))},
                          {{"mantissa_bits", g.random().Int(0, 4)},
                           {"min_exponent", low},
                           {"max_exponent", low + g.random().Int(0, 12)}});
}

StatusOr<Op*> Cast(Generator& g) {
  const ElementType to =
      g.random().Pick<ElementType>({g.float_type(), g.float_type(), ElementType::kI32,
                                    ElementType::kI64, ElementType::kU8, ElementType::kBool});
  return g.builder().Make("cast", {AnyValue(g)}, {{"to", to}});
}

StatusOr<Op*> Gelu(Generator& g) {
  // Below -5 nothing is left of 1 + erf in f32: even the sign of the result is rounding's.
  const auto x = g.builder().Make("clip", {g.FloatValue(0)}, {{"min", -4.0}, {"max", 1e4}});
  return g.builder().Make("gelu", {x},
                          {{"approximate", g.random().Pick<std::string>({"none", "tanh"})}});
}

// ---- movement

Shape Reshaped(Generator& g, Shape shape) {
  if (shape.size() > 1 && g.random().Chance(0.6)) {  // two neighbours become one
    const size_t d = g.random().Next() % (shape.size() - 1);
    shape[d] *= shape[d + 1];
    shape.erase(shape.begin() + static_cast<int64_t>(d) + 1);
  }
  if (shape.empty() || g.random().Chance(0.3)) {
    shape.insert(shape.begin() + g.random().Int(0, static_cast<int64_t>(shape.size())), 1);
  } else if (const size_t d = g.random().Next() % shape.size(); shape[d] % 2 == 0) {
    shape[d] /= 2;
    shape.insert(shape.begin() + static_cast<int64_t>(d), 2);
  }
  return shape;
}

StatusOr<Op*> Reshape(Generator& g) {
  Op* const x = AnyValue(g);
  return g.builder().Make("reshape", {x}, {{"shape", Reshaped(g, x->shape())}});
}

StatusOr<Op*> Transpose(Generator& g) {
  Op* const x = AnyValue(g);
  Ints perm(x->shape().size());
  std::iota(perm.begin(), perm.end(), 0);
  for (size_t i = perm.size(); i > 1; --i) std::swap(perm[i - 1], perm[g.random().Next() % i]);
  return g.builder().Make("transpose", {x}, {{"perm", perm}});
}

StatusOr<Op*> Broadcast(Generator& g) {
  Op* const x = AnyValue(g);
  Shape shape = x->shape();
  for (int64_t& extent : shape) {
    if (extent == 1) extent = g.RandomExtent();
  }
  if (g.random().Chance(0.5)) shape.insert(shape.begin(), g.random().Int(1, 3));
  return g.builder().Make("broadcast", {x}, {{"shape", shape}});
}

// To another layout and back, so that the ops after it need no row-major operand of their own.
StatusOr<Op*> Relayout(Generator& g) {
  Op* const x = g.FloatValue(2);
  Layout layout;
  if (g.random().Chance(0.5)) {
    layout.blocks = {{1, g.random().Pick<int64_t>({4, 8, 16})}};
  } else {
    for (int d = 0; d < x->type().rank(); ++d) layout.order.insert(layout.order.begin(), d);
  }
  Builder& b = g.builder();
  return b.Make("relayout", {b.Make("relayout", {x}, {{"layout", layout}})},
                {{"layout", Layout()}});
}

StatusOr<Op*> Iota(Generator& g) {
  const Shape shape = g.RandomShape(1, 4);
  const int64_t axis = g.random().Int(0, static_cast<int64_t>(shape.size()) - 1);
  const ElementType element =
      g.random().Pick<ElementType>({g.float_type(), ElementType::kI32, ElementType::kI64});
  return g.builder().Make("iota", {}, {{"shape", shape}, {"axis", axis}, {"element", element}});
}

StatusOr<Op*> Slice(Generator& g) {
  Op* const x = AnyValue(g);
  Ints starts, sizes, strides;
  for (const int64_t extent : x->shape()) {
    const int64_t stride = g.random().Pick<int64_t>({1, 1, 1, 2, 3});
    const int64_t start = extent > 0 ? g.random().Int(0, extent - 1) : 0;
    const int64_t most = (extent - start + stride - 1) / stride;
    const int64_t size = g.random().Chance(0.5) ? most : g.random().Int(0, most);
    const bool backwards = size > 0 && g.random().Chance(0.2);
    starts.push_back(backwards ? start + (size - 1) * stride : start);
    sizes.push_back(size);
    strides.push_back(backwards ? -stride : stride);
  }
  return g.builder().Make("slice", {x},
                          {{"starts", starts}, {"sizes", sizes}, {"strides", strides}});
}

StatusOr<Op*> Concat(Generator& g) {
  Op* const x = AnyValue(g, 1);
  const int64_t axis = RandomAxis(g, *x);
  std::vector<StatusOr<Op*>> operands = {x};
  while (g.random().Chance(operands.size() == 1 ? 0.95 : 0.4)) {
    Op* const other = g.Value([&](const Op& op) {
      Shape shape = op.shape();
      if (op.element() != x->element() || shape.size() != x->shape().size()) return false;
      shape[axis] = x->shape()[axis];
      return shape == x->shape();
    });
    Shape shape = x->shape();
    shape[axis] = g.RandomExtent();
    operands.push_back(g.random().Chance(0.6) ? other : g.Leaf(x->element(), shape));
  }
  return g.builder().Make("concat", operands, {{"axis", axis}});
}

StatusOr<Op*> Pad(Generator& g) {
  Op* const x = AnyValue(g);
  Ints low, high;
  for (size_t d = 0; d < x->shape().size(); ++d) {
    low.push_back(g.random().Pick<int64_t>({0, 0, 1, 2, -1}));
    high.push_back(g.random().Pick<int64_t>({0, 0, 1, 3, -1}));
  }
  const std::string mode =
      g.random().Pick<std::string>({"constant", "constant", "reflect", "edge", "wrap"});
  return g.builder().Make(
      "pad", {x},
      {{"low", low}, {"high", high}, {"mode", mode}, {"value", double(g.random().Int(-1, 1))}});
}

// ---- gather and scatter

Ints RandomIndices(Generator& g, const Shape& shape, int64_t extent) {
  Ints indices(static_cast<size_t>(ElementCount(shape)));
  for (int64_t& index : indices) index = g.random().Int(-extent, extent - 1);
  return indices;
}

Op* ValueWithElements(Generator& g, int min_rank) {
  Op* const value =
      g.Value([&](const Op& op) { return HasElements(op) && op.type().rank() >= min_rank; });
  return value != nullptr ? value : g.FloatValue(min_rank);
}

StatusOr<Op*> Gather(Generator& g) {
  Op* const x = ValueWithElements(g, 1);
  const int64_t axis = RandomAxis(g, *x);
  const Shape shape = g.RandomShape(0, 2);
  Op* const indices = g.IndexLeaf(shape, RandomIndices(g, shape, x->shape()[axis]));
  return g.builder().Make("gather", {x, indices}, {{"axis", axis}});
}

StatusOr<Op*> GatherElements(Generator& g) {
  Op* const x = ValueWithElements(g, 1);
  const int64_t axis = RandomAxis(g, *x);
  Shape shape = x->shape();
  for (int64_t& extent : shape) extent = g.random().Int(1, extent);
  Op* const indices = g.IndexLeaf(shape, RandomIndices(g, shape, x->shape()[axis]));
  return g.builder().Make("gather_elements", {x, indices}, {{"axis", axis}});
}

// Rows of coordinates in the dimensions from `first` on: all pairwise different when `distinct`.
Ints RandomCoordinates(Generator& g, const Shape& shape, int64_t first, int64_t depth, int64_t rows,
                       bool distinct) {
  const Shape space(shape.begin() + first, shape.begin() + first + depth);
  const int64_t cells = ElementCount(space);
  Ints coordinates;
  for (int64_t row = 0; row < rows; ++row) {
    int64_t cell = distinct ? row : g.random().Int(0, cells - 1);
    Ints one(static_cast<size_t>(depth));
    for (int64_t d = depth; d-- > 0;) {
      one[d] = cell % space[d];
      cell /= space[d];
    }
    coordinates.insert(coordinates.end(), one.begin(), one.end());
  }
  return coordinates;
}

StatusOr<Op*> GatherNd(Generator& g) {
  Op* const x = ValueWithElements(g, 1);
  const int64_t batch_dims = x->type().rank() > 1 ? g.random().Int(0, 1) : 0;
  const int64_t depth = g.random().Int(1, x->type().rank() - batch_dims);
  Shape shape(x->shape().begin(), x->shape().begin() + batch_dims);
  shape.push_back(g.random().Int(1, 5));
  const int64_t rows = ElementCount(shape);
  shape.push_back(depth);
  const Ints coordinates = RandomCoordinates(g, x->shape(), batch_dims, depth, rows, false);
  return g.builder().Make("gather_nd", {x, g.IndexLeaf(shape, coordinates)},
                          {{"batch_dims", batch_dims}});
}

std::string RandomReduction(Generator& g) {
  return g.random().Pick<std::string>({"none", "none", "add", "mul", "max", "min"});
}

// Without a reduction no element may be written twice: which write wins is not defined.
StatusOr<Op*> ScatterElements(Generator& g) {
  Op* const x = ValueWithElements(g, 1);
  const int64_t axis = RandomAxis(g, *x);
  const std::string reduction = RandomReduction(g);
  Shape shape = x->shape();
  for (int64_t& extent : shape) extent = g.random().Int(1, extent);
  Ints indices = RandomIndices(g, shape, x->shape()[axis]);
  if (reduction == "none") {
    const int64_t inner = ElementCount(Shape(shape.begin() + axis + 1, shape.end()));
    for (size_t i = 0; i < indices.size(); ++i) {
      indices[i] = static_cast<int64_t>(i) / inner % shape[axis];
    }
  }
  return g.builder().Make("scatter_elements",
                          {x, g.IndexLeaf(shape, indices), g.Leaf(x->element(), shape)},
                          {{"axis", axis}, {"reduction", reduction}});
}

StatusOr<Op*> ScatterNd(Generator& g) {
  Op* const x = ValueWithElements(g, 1);
  const std::string reduction = RandomReduction(g);
  const int64_t depth = g.random().Int(1, x->type().rank());
  const Shape space(x->shape().begin(), x->shape().begin() + depth);
  const int64_t rows = g.random().Int(1, std::min<int64_t>(ElementCount(space), 6));
  const Ints coordinates = RandomCoordinates(g, x->shape(), 0, depth, rows, reduction == "none");
  Shape updates = {rows};
  updates.insert(updates.end(), x->shape().begin() + depth, x->shape().end());
  return g.builder().Make(
      "scatter_nd", {x, g.IndexLeaf({rows, depth}, coordinates), g.Leaf(x->element(), updates)},
      {{"reduction", reduction}});
}

// ---- reductions and what has an axis

StatusOr<Op*> Reduce(Generator& g, const OpDef& def) {
  Op* x = AnyValue(g);
  // Partial products of many numbers may overflow on the way to a small one.
  if (def.name == "reduce_prod" && IsFloat(x->element())) {
    KILN_ASSIGN_OR_RETURN(x, g.builder().Make("tanh", {x}));
  }
  Ints axes;
  for (int64_t d = 0; d < x->type().rank(); ++d) {
    if (g.random().Chance(0.5)) axes.push_back(d);
  }
  return g.builder().Make(def.name, {x}, {{"axes", axes}, {"keep_dims", g.random().Chance(0.5)}});
}

StatusOr<Op*> AlongAxis(Generator& g, const OpDef& def) {
  Op* const x = AnyValue(g, 1);
  AttributeMap attributes = RandomAttributes(g, def);
  attributes.emplace("axis", RandomAxis(g, *x));
  return g.builder().Make(def.name, {x}, attributes);
}

StatusOr<Op*> TopK(Generator& g, const OpDef& def) {
  Op* const x = ValueWithElements(g, 1);
  const int64_t axis = RandomAxis(g, *x);
  return g.builder().Make(def.name, {x},
                          {{"axis", axis},
                           {"k", g.random().Int(1, x->shape()[axis])},
                           {"largest", g.random().Chance(0.5)}});
}

// ---- contractions and windows

StatusOr<Op*> Matmul(Generator& g) {
  Op* const a = AnyValue(g, 2);
  const bool transpose_a = g.random().Chance(0.3);
  const bool transpose_b = g.random().Chance(0.3);
  Shape shape = a->shape();
  const size_t rank = shape.size();
  const int64_t k = shape[transpose_a ? rank - 2 : rank - 1];
  shape[rank - 2] = transpose_b ? g.RandomExtent() : k;
  shape[rank - 1] = transpose_b ? k : g.RandomExtent();
  for (size_t d = 0; d + 2 < rank; ++d) {
    if (g.random().Chance(0.3)) shape[d] = 1;
  }
  while (shape.size() > 2 && g.random().Chance(0.3)) shape.erase(shape.begin());
  return g.builder().Make("matmul", {a, g.Leaf(a->element(), shape)},
                          {{"transpose_a", transpose_a}, {"transpose_b", transpose_b}});
}

// Per spatial dimension of `x`.
Ints PerDimension(Generator& g, const Op& x, const std::vector<int64_t>& choices) {
  Ints values;
  for (int d = 2; d < x.type().rank(); ++d) values.push_back(g.random().Pick(choices));
  return values;
}

AttributeMap Window(Generator& g, const Op& x) {
  return {{"strides", PerDimension(g, x, {1, 1, 2, 3})},
          {"dilations", PerDimension(g, x, {1, 1, 1, 2})},
          {"pads_low", PerDimension(g, x, {0, 0, 1, 2})},
          {"pads_high", PerDimension(g, x, {0, 0, 1, 2})}};
}

int64_t RandomGroups(Generator& g, int64_t channels) {
  const int64_t groups = g.random().Pick<int64_t>({1, 1, 2, 3, channels});
  return channels % groups == 0 ? groups : 1;
}

StatusOr<Op*> Conv(Generator& g, const OpDef& def) {
  Op* const x = g.FloatValue(3);
  const int64_t channels = x->shape()[1];
  const int64_t groups = RandomGroups(g, channels);
  const int64_t per_group = g.random().Pick<int64_t>({1, 2, 3, 7, 8, 16, 17});
  AttributeMap attributes = Window(g, *x);
  attributes.emplace("groups", groups);
  Shape weights = {groups * per_group, channels / groups};
  if (def.name == "conv_transpose") {
    weights = {channels, per_group};
    attributes.emplace("output_padding", PerDimension(g, *x, {0, 0, 1}));
  }
  const Ints kernel = PerDimension(g, *x, {1, 1, 2, 3, 5});
  weights.insert(weights.end(), kernel.begin(), kernel.end());
  return g.builder().Make(def.name, {x, g.Leaf(g.float_type(), weights, {-1, 1})}, attributes);
}

// Small weights: rounding is relative to the largest products.
StatusOr<Op*> WinogradWeights(Generator& g) {
  const int64_t r = g.random().Pick<int64_t>({3, 3, 5});
  const Shape shape = {g.RandomExtent(), g.RandomExtent(), r, r};
  return g.builder().Make("winograd_weights", {g.Leaf(ElementType::kF32, shape, {-0.1, 0.1})},
                          {{"tile", r == 5 ? 2 : g.random().Pick<int64_t>({2, 4})},
                           {"transposed", g.random().Chance(0.5)}});
}

StatusOr<Op*> WinogradConv(Generator& g) {
  KILN_ASSIGN_OR_RETURN(Op* const u, WinogradWeights(g));
  const int64_t m = u->operand(0)->shape()[2] == 5 ? 2 : u->shape()[0] - 2;
  const Ints extents = {g.random().Int(1, 9), g.random().Int(1, 9)};
  Shape shape = {g.random().Int(1, 2), u->shape()[2]};
  for (const int64_t extent : extents) {
    shape.push_back((extent + m - 1) / m * m + u->shape()[0] - m);
  }
  return g.builder().Make("winograd_conv", {g.Leaf(ElementType::kF32, shape), u},
                          {{"extents", extents}, {"tile", m}});
}

StatusOr<Op*> WinogradWeightGradient(Generator& g) {
  const int64_t images = g.random().Int(1, 2);
  Shape x = {images, g.RandomExtent()}, dy = {images, g.RandomExtent()};
  Ints pads_low;
  for (int d = 0; d < 2; ++d) {
    dy.push_back(g.random().Int(1, 9));
    pads_low.push_back(g.random().Int(0, 2));
    x.push_back(std::max<int64_t>(dy.back() - pads_low.back(), 1) + g.random().Int(0, 3));
  }
  return g.builder().Make("winograd_weight_gradient",
                          {g.Leaf(ElementType::kF32, x), g.Leaf(ElementType::kF32, dy)},
                          {{"pads_low", pads_low}, {"tile", g.random().Pick<int64_t>({2, 4})}});
}

StatusOr<Op*> Pool(Generator& g, const OpDef& def) {
  Op* x = g.FloatValue(3);
  AttributeMap attributes = Window(g, *x);
  attributes.emplace("kernel", PerDimension(g, *x, {1, 2, 3, 3, 5}));
  if (def.name == "avg_pool") attributes.emplace("count_include_pad", g.random().Chance(0.5));
  if (def.name == "lp_pool") attributes.emplace("p", g.random().Int(1, 3));
  if (def.name == "max_pool_indices") attributes.emplace("storage_order", g.random().Int(0, 1));
  return g.builder().Make(def.name, {x}, attributes);
}

// The weight gradient of a random convolution: dy is of its result's type.
StatusOr<Op*> ConvWeightGradient(Generator& g, const OpDef&) {
  KILN_ASSIGN_OR_RETURN(Op* const conv, Conv(g, *FindOp("conv")));
  AttributeMap attributes = conv->attributes();
  const Shape& w = conv->operand(1)->shape();
  attributes.emplace("kernel", Ints(w.begin() + 2, w.end()));
  Op* const dy = g.Leaf(conv->element(), conv->shape());
  return g.builder().Make("conv_weight_gradient", {conv->operand(0), dy}, attributes);
}

// The way back through a random pool.
StatusOr<Op*> Unpool(Generator& g, const OpDef& def) {
  KILN_ASSIGN_OR_RETURN(Op* const pool, Pool(g, *FindOp("max_pool")));
  AttributeMap attributes = pool->attributes();
  attributes.erase("zero_padding");
  const auto taps = g.builder().Make("max_pool_taps", {pool->operand(0), pool}, attributes);
  if (def.name == "max_pool_taps") return taps;
  const Shape& x = pool->operand(0)->shape();
  attributes.emplace("input", Ints(x.begin() + 2, x.end()));
  Shape y = pool->shape();
  if (def.name == "fold") y[1] *= ElementCount(attributes.at("kernel").as<Ints>());
  Op* const dy = g.Leaf(pool->element(), y);
  if (def.name == "sum_unpool" || def.name == "fold")
    return g.builder().Make(def.name, {dy}, attributes);
  return g.builder().Make(def.name, {dy, taps}, attributes);
}

StatusOr<Op*> Resize(Generator& g) {
  Op* const x = g.FloatValue(2, 4);
  std::vector<double> scales;
  Ints sizes;
  for (int d = 0; d < x->type().rank(); ++d) {
    // Powers of two, so that coordinates are exact and "nearest" is beyond doubt.
    scales.push_back(d < 2 ? 1 : g.random().Pick<double>({0.5, 1, 2, 4}));
    sizes.push_back(static_cast<int64_t>(static_cast<double>(x->shape()[d]) * scales.back()));
  }
  const std::string mode = g.random().Pick<std::string>({"nearest", "linear", "cubic"});
  return g.builder().Make(
      "resize", {x},
      {{"scales", scales},
       {"sizes", sizes},
       {"mode", mode},
       {"coordinate_mode",
        g.random().Pick<std::string>({"half_pixel", "pytorch_half_pixel", "align_corners",
                                      "asymmetric", "half_pixel_symmetric"})},
       {"nearest_mode", g.random().Pick<std::string>(
                            {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"})}});
}

// ---- normalisation

StatusOr<Op*> BatchNorm(Generator& g) {
  Op* const x = g.FloatValue(2);
  const Shape channels = {x->shape()[1]};
  const auto leaf = [&](Range range) { return g.Leaf(g.float_type(), channels, range); };
  return g.builder().Make("batch_norm", {x, leaf({}), leaf({}), leaf({}), leaf({0.25, 2})},
                          {{"epsilon", g.random().Pick<double>({1e-5, 1e-3})}});
}

StatusOr<Op*> Lrn(Generator& g) {
  return g.builder().Make("lrn", {g.FloatValue(2)},
                          {{"size", g.random().Int(1, 6)},
                           {"alpha", g.random().Pick<double>({1e-4, 0.5})},
                           {"beta", g.random().Pick<double>({0.75, 0.5, 1})},
                           {"bias", g.random().Pick<double>({1, 2})}});
}

StatusOr<Op*> WindowSum(Generator& g) {
  Op* const x = g.FloatValue(1);
  return g.builder().Make("window_sum", {x},
                          {{"axis", RandomAxis(g, *x)},
                           {"below", g.random().Int(0, 3)},
                           {"above", g.random().Int(0, 3)}});
}

StatusOr<Op*> Standardize(Generator& g) {
  Op* const x = g.FloatValue(1);
  Ints axes;
  for (int64_t d = 0; d < x->type().rank(); ++d) {
    if (d != 1) axes.push_back(d);
  }
  return g.builder().Make("standardize", {x}, {{"axes", axes}, {"epsilon", 0.125}});
}

// ---- losses and random numbers

StatusOr<Op*> AgainstLabels(Generator& g, const OpDef& def) {
  Op* const x = def.name == "hinge_loss" ? g.FloatValue(2, 2) : g.FloatValue(2);
  Shape shape = x->shape();
  shape.erase(shape.begin() + 1);
  Ints labels(static_cast<size_t>(ElementCount(shape)));
  for (int64_t& label : labels) label = g.random().Int(0, x->shape()[1] - 1);
  AttributeMap attributes;
  if (def.name == "hinge_loss") {
    attributes.emplace("norm", g.random().Int(1, 2));
  } else {
    attributes.emplace("normalization",
                       g.random().Pick<std::string>({"valid", "full", "batch_size", "none"}));
    if (g.random().Chance(0.5)) attributes.emplace("ignore_labels", Ints{0, 2});
  }
  return g.builder().Make(def.name, {x, g.IndexLeaf(shape, labels)}, attributes);
}

StatusOr<Op*> AgainstTargets(Generator& g, const OpDef& def) {
  Op* const x = g.FloatValue(1);
  return g.builder().Make(def.name, {x, g.Leaf(x->element(), x->shape())});
}

StatusOr<Op*> Dropout(Generator& g) { return g.builder().Make("dropout", {g.FloatValue(0)}); }

StatusOr<Op*> RandomUniform(Generator& g) {
  Op* const key = g.IndexLeaf({2}, {g.random().Int(0, 99), g.random().Int(0, 99)});
  return g.builder().Make("random_uniform", {g.builder().Cast(key, ElementType::kI64)},
                          {{"shape", g.RandomShape(0, 3)}, {"stream", g.random().Int(0, 3)}});
}

using DefRecipe = StatusOr<Op*> (*)(Generator&, const OpDef&);
using PlainRecipe = StatusOr<Op*> (*)(Generator&);

const std::map<std::string, PlainRecipe>& PlainRecipes() {
  static const auto* const recipes = new std::map<std::string, PlainRecipe>{
      {"where", Where},
      {"clip", Clip},
      {"cast", Cast},
      {"round_to_float", RoundToFloat},
      {"gelu", Gelu},
      {"reshape", Reshape},
      {"transpose", Transpose},
      {"broadcast", Broadcast},
      {"relayout", Relayout},
      {"iota", Iota},
      {"slice", Slice},
      {"concat", Concat},
      {"pad", Pad},
      {"gather", Gather},
      {"gather_elements", GatherElements},
      {"gather_nd", GatherNd},
      {"scatter_elements", ScatterElements},
      {"scatter_nd", ScatterNd},
      {"matmul", Matmul},
      {"winograd_weights", WinogradWeights},
      {"winograd_conv", WinogradConv},
      {"winograd_weight_gradient", WinogradWeightGradient},
      {"resize", Resize},
      {"batch_norm", BatchNorm},
      {"lrn", Lrn},
      {"window_sum", WindowSum},
      {"dropout", Dropout},
      {"random_uniform", RandomUniform},
      {"standardize", Standardize},
  };
  return *recipes;
}

const std::map<std::string, DefRecipe>& DefRecipes() {
  static const auto* const recipes = new std::map<std::string, DefRecipe>{
      {"conv", Conv},
      {"conv_transpose", Conv},
      {"max_pool", Pool},
      {"max_pool_indices", Pool},
      {"avg_pool", Pool},
      {"lp_pool", Pool},
      {"conv_weight_gradient", ConvWeightGradient},
      {"sum_unpool", Unpool},
      {"max_pool_taps", Unpool},
      {"fold", Unpool},
      {"max_unpool", Unpool},
      {"softmax_cross_entropy", AgainstLabels},
      {"hinge_loss", AgainstLabels},
      {"sigmoid_cross_entropy", AgainstTargets},
      {"mean_squared_error", AgainstTargets},
      {"euclidean_loss", AgainstTargets},
      {"l1_loss", AgainstTargets},
      {"huber_loss", AgainstTargets},
      {"argmax", AlongAxis},
      {"argmin", AlongAxis},
      {"cumsum", AlongAxis},
      {"softmax", AlongAxis},
      {"log_softmax", AlongAxis},
      {"layer_norm", AlongAxis},
      {"top_k_values", TopK},
      {"top_k_indices", TopK},
  };
  return *recipes;
}

}  // namespace

std::optional<Recipe> RecipeFor(const OpDef& def) {
  if (def.traits & (kLeaf | kRegion)) return std::nullopt;
  if (const auto it = PlainRecipes().find(def.name); it != PlainRecipes().end()) {
    return it->second;
  }
  DefRecipe recipe = Elementwise;
  if (const auto it = DefRecipes().find(def.name); it != DefRecipes().end()) {
    recipe = it->second;
  } else if (def.traits & kReduction) {
    recipe = Reduce;
  }
  return [recipe, &def](Generator& g) { return recipe(g, def); };
}

}  // namespace kiln
