// Pools: Pooling, SPP.
#include "compiler/import/caffe/layer.h"
#include "compiler/import/caffe/layers/window.h"
#include "compiler/import/foreign/build.h"

namespace kiln::caffe_import {

namespace {

using caffe::PoolingParameter;

StatusOr<Op*> AveragePool(Layer& n, const StatusOr<Op*>& x, const PoolWindow& pool) {
  AttributeMap attributes = pool.window.PoolAttributes();
  // Padding counts, but not what rounding up added behind it.
  attributes.emplace("count_include_pad", true);
  attributes.emplace("ceil_pads_high", pool.ceil_pads_high);
  return n.Make("avg_pool", {x}, std::move(attributes));
}

// At test, the mean weighted by the values themselves: sum x^2 / sum x.
StatusOr<Op*> StochasticPool(Layer& n, Op* x, const PoolWindow& pool) {
  Builder& b = n.builder();
  const auto sum = AveragePool(n, x, pool);
  const auto squares = AveragePool(n, b.Mul(x, x), pool);
  const auto empty = n.Make("equal", {sum, n.Scalar(0)});
  return n.Make("where", {empty, n.Scalar(0), b.Div(squares, sum)});
}

// Positions within the plane of each channel, as floats.
StatusOr<Op*> MaxPoolMask(Layer& n, Op* x, const PoolWindow& pool) {
  Builder& b = n.builder();
  const auto indices = n.Make("max_pool_indices", {x}, pool.window.PoolAttributes());
  const int64_t plane = x->shape()[2] * x->shape()[3];
  const auto extent = b.Constant(Tensor::FromInts(ElementType::kI64, {}, {plane}));
  return b.Cast(n.Make("mod", {indices, extent}), ElementType::kF32);
}

StatusOr<Op*> Pool(Layer& n, Op* x, const PoolingParameter& param) {
  const Shape spatial(x->shape().begin() + 2, x->shape().end());
  const bool max = param.pool() == PoolingParameter::MAX;
  if (param.global_pooling() && param.pool() != PoolingParameter::STOCHASTIC) {
    return Reduce(n.builder(), max ? "reduce_max" : "reduce_mean", x, {2, 3}, true);
  }
  KILN_ASSIGN_OR_RETURN(const PoolWindow pool, ReadPoolWindow(param, spatial));
  if (max) return n.Make("max_pool", {x}, pool.window.PoolAttributes());
  return param.pool() == PoolingParameter::AVE ? AveragePool(n, x, pool)
                                               : StochasticPool(n, x, pool);
}

Status CheckPlanes(const Op* x) {
  if (Rank(x) == 4) return OkStatus();
  return InvalidInput("needs [N, C, H, W], found ", x->type().ToString());
}

Status Pooling(Layer& n) {
  const PoolingParameter& param = n.proto().pooling_param();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.bottom(0));
  KILN_RETURN_IF_ERROR(CheckPlanes(x));
  if (n.training() && param.pool() == PoolingParameter::STOCHASTIC) {
    return Unsupported("stochastic pooling is not supported in training");
  }
  KILN_RETURN_IF_ERROR(n.Top(0, Pool(n, x, param)));
  if (n.num_tops() == 1) return OkStatus();
  if (param.pool() != PoolingParameter::MAX) {
    return InvalidInput("a second top needs maximum pooling");
  }
  KILN_ASSIGN_OR_RETURN(const PoolWindow pool,
                        ReadPoolWindow(param, {x->shape().begin() + 2, x->shape().end()}));
  return n.Top(1, MaxPoolMask(n, x, pool));
}

// The pool of level `i` of a pyramid: 2^i bins in each direction.
PoolingParameter PyramidPool(const caffe::SPPParameter& spp, int level, const Shape& spatial) {
  PoolingParameter pool;
  pool.set_pool(static_cast<PoolingParameter::PoolMethod>(spp.pool()));
  const int64_t bins = int64_t{1} << level;
  const auto kernel = [&](int64_t extent) { return (extent + bins - 1) / bins; };
  const auto pad = [&](int64_t extent) { return (kernel(extent) * bins - extent + 1) / 2; };
  pool.set_kernel_h(static_cast<uint32_t>(kernel(spatial[0])));
  pool.set_kernel_w(static_cast<uint32_t>(kernel(spatial[1])));
  pool.set_stride_h(pool.kernel_h());
  pool.set_stride_w(pool.kernel_w());
  pool.set_pad_h(static_cast<uint32_t>(pad(spatial[0])));
  pool.set_pad_w(static_cast<uint32_t>(pad(spatial[1])));
  return pool;
}

// Spatial pyramid pooling: the pools of all levels, flattened, one after another.
Status Spp(Layer& n) {
  const caffe::SPPParameter& param = n.proto().spp_param();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.bottom(0));
  KILN_RETURN_IF_ERROR(CheckPlanes(x));
  constexpr uint32_t kMaxLevels = 12;
  if (param.pyramid_height() < 1 || param.pyramid_height() > kMaxLevels) {
    return InvalidInput("pyramid_height must be 1 to ", kMaxLevels, ", found ",
                        param.pyramid_height());
  }
  std::vector<StatusOr<Op*>> levels;
  for (uint32_t level = 0; level < param.pyramid_height(); ++level) {
    const auto pool = PyramidPool(param, static_cast<int>(level), {x->shape()[2], x->shape()[3]});
    KILN_ASSIGN_OR_RETURN(Op* const pooled, Pool(n, x, pool));
    const Shape& shape = pooled->shape();
    levels.push_back(n.builder().Reshape(pooled, {shape[0], shape[1] * shape[2] * shape[3]}));
  }
  return n.Top(n.Make("concat", levels, {{"axis", 1}}));
}

}  // namespace

std::vector<CaffeLayer> PoolingLayers() {
  std::vector<CaffeLayer> layers;
  layers.push_back({.name = "Pooling",
                    .handler = Pooling,
                    .tops = {1, 2},
                    .limits = "stochastic pools as at test, weighted by the values"});
  layers.push_back({.name = "SPP", .handler = Spp});
  layers.push_back(
      {.name = "ROIPooling", .bottoms = {2, 2}, .limits = "its windows depend on data"});
  return layers;
}

}  // namespace kiln::caffe_import
