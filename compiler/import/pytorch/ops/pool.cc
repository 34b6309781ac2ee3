// Pools: max, average, and the adaptive ones, whose windows follow from the extents of the result.
#include <algorithm>

#include "compiler/import/foreign/build.h"
#include "compiler/import/pytorch/node.h"
#include "compiler/import/pytorch/ops/window.h"

namespace kiln::pytorch_import {

namespace {

// The number of spatial dimensions, from the name: "aten.max_pool2d_with_indices.default".
size_t SpatialRank(const Node& n) {
  const std::string& name = n.op().name;
  return static_cast<size_t>(name[name.find('d', name.find("pool")) - 1] - '0');
}

struct Pooled {
  Op* given;
  Op* x;  // with a batch
  size_t rank;
};

StatusOr<Pooled> ReadData(Node& n) {
  Pooled pooled{};
  pooled.rank = SpatialRank(n);
  KILN_ASSIGN_OR_RETURN(pooled.given, n.tensor("self"));
  KILN_ASSIGN_OR_RETURN(pooled.x, WithBatch(n, pooled.given, pooled.rank));
  if (pooled.x->shape().size() == pooled.rank + 2) return pooled;
  return InvalidInput("needs channels and ", static_cast<uint64_t>(pooled.rank),
                      " spatial dimensions, found ", pooled.given->type().ToString());
}

Status OutputPooled(Node& n, int i, const Pooled& pooled, const StatusOr<Op*>& y) {
  return n.Output(i, WithoutBatch(n, pooled.given, y, pooled.rank));
}

StatusOr<Window> ReadPoolWindow(Node& n, const Pooled& pooled, std::vector<int64_t>* added) {
  KILN_ASSIGN_OR_RETURN(const auto kernel, PerDimension(n, "kernel_size", pooled.rank, 1, 1));
  KILN_ASSIGN_OR_RETURN(Window window, ReadWindow(n, kernel, kernel));
  KILN_ASSIGN_OR_RETURN(const Shape spatial, SpatialShape(pooled.x->type()));
  added->assign(window.rank(), 0);
  if (n.Bool("ceil_mode")) *added = RoundUp(window, spatial);
  return window;
}

// Flat positions in the whole of x as positions in a plane.
StatusOr<Op*> InPlane(Node& n, const Op* x, const StatusOr<Op*>& positions) {
  const int64_t plane = ElementCount({x->shape().begin() + 2, x->shape().end()});
  return n.Make("mod", {positions, n.builder().Constant(Tensor::FromInts(
                                       ElementType::kI64, {}, {std::max<int64_t>(plane, 1)}))});
}

Status MaxPool(Node& n) {
  KILN_ASSIGN_OR_RETURN(const Pooled pooled, ReadData(n));
  std::vector<int64_t> added;
  KILN_ASSIGN_OR_RETURN(const Window window, ReadPoolWindow(n, pooled, &added));
  const AttributeMap attributes = window.PoolAttributes();
  KILN_RETURN_IF_ERROR(OutputPooled(n, 0, pooled, n.Make("max_pool", {pooled.x}, attributes)));
  if (n.num_results() < 2) return OkStatus();
  return OutputPooled(n, 1, pooled,
                      InPlane(n, pooled.x, n.Make("max_pool_indices", {pooled.x}, attributes)));
}

Status AvgPool(Node& n) {
  KILN_ASSIGN_OR_RETURN(const Pooled pooled, ReadData(n));
  std::vector<int64_t> added;
  KILN_ASSIGN_OR_RETURN(const Window window, ReadPoolWindow(n, pooled, &added));
  AttributeMap attributes = window.PoolAttributes();
  if (n.Has("divisor_override")) {  // the mean over all of the window, as often as it has elements
    const double divisor = static_cast<double>(n.Int("divisor_override"));
    if (!(divisor != 0)) return InvalidInput("divisor_override is 0");
    attributes.emplace("count_include_pad", true);
    return OutputPooled(
        n, 0, pooled,
        n.builder().MulScalar(n.Make("avg_pool", {pooled.x}, std::move(attributes)),
                              static_cast<double>(ElementCount(window.kernel)) / divisor));
  }
  attributes.emplace("count_include_pad", n.Bool("count_include_pad", true));
  attributes.emplace("ceil_pads_high", added);
  return OutputPooled(n, 0, pooled, n.Make("avg_pool", {pooled.x}, std::move(attributes)));
}

// Window i of `out` over `in` elements: floor(i in / out) to ceil((i+1) in / out).
struct Bin {
  int64_t first, last;  // last: behind the end
};
Bin BinOf(int64_t i, int64_t in, int64_t out) {
  return {i * in / out, ((i + 1) * in + out - 1) / out};
}

// How many bins a dimension has; the operand's extent where it is left open.
StatusOr<std::vector<int64_t>> ReadBins(Node& n, const Pooled& pooled) {
  constexpr int64_t kMaxBins = 4096;
  KILN_ASSIGN_OR_RETURN(std::vector<int64_t> bins,
                        PerDimension(n, "output_size", pooled.rank, 1, 1));
  for (size_t d = 0; d < bins.size(); ++d) {
    const int64_t extent = pooled.x->shape()[d + 2];
    if (bins[d] > kMaxBins || extent < 1 || extent > kMaxExtent) {
      return Unsupported("output_size ", FormatInts(bins), " of ", pooled.given->type().ToString(),
                         " is not supported");
    }
  }
  return bins;
}

// The window when all bins are alike.
std::optional<Window> EvenWindow(const Pooled& pooled, const std::vector<int64_t>& bins) {
  std::vector<int64_t> kernel;
  for (size_t d = 0; d < bins.size(); ++d) {
    const int64_t extent = pooled.x->shape()[d + 2];
    if (extent % bins[d] != 0) return std::nullopt;
    kernel.push_back(extent / bins[d]);
  }
  const std::vector<int64_t> ones(bins.size(), 1), zeros(bins.size(), 0);
  return Window{kernel, kernel, ones, zeros, zeros};
}

// Row j, column i: 1 / the size of bin i where element j is in it, else 0.
StatusOr<Op*> BinWeights(Node& n, int64_t extent, int64_t bins, ElementType element) {
  Builder& b = n.builder();
  const auto number = [&b](int64_t value) {
    return b.Constant(Tensor::FromInts(ElementType::kI64, {}, {value}));
  };
  const auto j = IotaAlong(b, 2, 0, extent, ElementType::kI64);
  const auto scaled = b.Mul(IotaAlong(b, 2, 1, bins, ElementType::kI64), number(extent));
  const auto first = b.Div(scaled, number(bins));
  const auto last = b.Div(b.Add(scaled, number(extent + bins - 1)), number(bins));
  const auto inside =
      n.Make("and", {n.Make("greater_equal", {j, first}), n.Make("less", {j, last})});
  return b.Div(b.Cast(inside, element), b.Cast(b.Sub(last, first), element));
}

// Means over uneven bins are a product with the matrix of their weights, along each dimension.
StatusOr<Op*> AverageAlong(Node& n, Op* x, int64_t axis, int64_t bins) {
  Builder& b = n.builder();
  const int64_t extent = x->shape()[axis], last = Rank(x) - 1;
  if (extent == bins) return x;
  std::vector<int64_t> order = AxesFrom(0, Rank(x));
  std::swap(order[axis], order[last]);
  const auto weights = BinWeights(n, extent, bins, x->element());
  return b.Transpose(n.Make("matmul", {b.Transpose(x, order), weights}), order);
}

Status AdaptiveAvgPool(Node& n) {
  KILN_ASSIGN_OR_RETURN(const Pooled pooled, ReadData(n));
  KILN_ASSIGN_OR_RETURN(const auto bins, ReadBins(n, pooled));
  Op* y = pooled.x;
  if (std::ranges::all_of(bins, [](int64_t count) { return count == 1; })) {
    return OutputPooled(n, 0, pooled,
                        Reduce(n.builder(), "reduce_mean", y, AxesFrom(2, Rank(y)), true));
  }
  if (const auto window = EvenWindow(pooled, bins); window) {
    return OutputPooled(n, 0, pooled, n.Make("avg_pool", {y}, window->PoolAttributes()));
  }
  for (size_t d = 0; d < bins.size(); ++d) {
    KILN_ASSIGN_OR_RETURN(y, AverageAlong(n, y, static_cast<int64_t>(d) + 2, bins[d]));
  }
  return OutputPooled(n, 0, pooled, y);
}

// The largest of uneven bins, one after another along each dimension.
StatusOr<Op*> MaxAlong(Node& n, Op* x, int64_t axis, int64_t bins) {
  Builder& b = n.builder();
  std::vector<StatusOr<Op*>> parts;
  for (int64_t i = 0; i < bins; ++i) {
    const Bin bin = BinOf(i, x->shape()[axis], bins);
    parts.push_back(Reduce(b, "reduce_max", SliceAxis(b, x, axis, bin.first, bin.last - bin.first),
                           {axis}, true));
  }
  return n.Make("concat", parts, {{"axis", axis}});
}

Status AdaptiveMaxPool(Node& n) {
  KILN_ASSIGN_OR_RETURN(const Pooled pooled, ReadData(n));
  KILN_ASSIGN_OR_RETURN(const auto bins, ReadBins(n, pooled));
  Op* y = pooled.x;
  if (const auto window = EvenWindow(pooled, bins); window) {
    const AttributeMap attributes = window->PoolAttributes();
    KILN_RETURN_IF_ERROR(OutputPooled(n, 0, pooled, n.Make("max_pool", {y}, attributes)));
    return OutputPooled(n, 1, pooled,
                        InPlane(n, pooled.x, n.Make("max_pool_indices", {y}, attributes)));
  }
  for (size_t d = 0; d < bins.size(); ++d) {
    KILN_ASSIGN_OR_RETURN(y, MaxAlong(n, y, static_cast<int64_t>(d) + 2, bins[d]));
  }
  return OutputPooled(n, 0, pooled, y);
}

}  // namespace

std::vector<PytorchOp> PoolOps() {
  std::vector<PytorchOp> ops;
  const auto add = [&ops](const std::string& name, Status (*handler)(Node&),
                          const std::string& arguments, const std::string& limits = "") {
    ops.push_back({.name = StrCat("aten.", name, ".default"),
                   .handler = handler,
                   .arguments = arguments,
                   .limits = limits});
  };
  const std::string sizes = "self output_size";
  for (const char* const rank : {"1d", "2d", "3d"}) {
    const std::string max = "self kernel_size stride padding dilation ceil_mode";
    add(StrCat("max_pool", rank), MaxPool, max);
    add(StrCat("max_pool", rank, "_with_indices"), MaxPool, max);
    add(StrCat("avg_pool", rank), AvgPool,
        "self kernel_size stride padding ceil_mode count_include_pad divisor_override");
    add(StrCat("adaptive_avg_pool", rank), AdaptiveAvgPool, sizes);
    if (std::string_view(rank) != "1d") {
      add(StrCat("_adaptive_avg_pool", rank), AdaptiveAvgPool, sizes);
    }
    add(StrCat("adaptive_max_pool", rank), AdaptiveMaxPool, sizes,
        "indices where the bins are of one size");
  }
  return ops;
}

}  // namespace kiln::pytorch_import
