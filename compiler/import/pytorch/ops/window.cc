#include "compiler/import/pytorch/ops/window.h"

#include "compiler/import/foreign/build.h"

namespace kiln::pytorch_import {

StatusOr<std::vector<int64_t>> PerDimension(Node& n, const std::string& name, size_t rank,
                                            int64_t otherwise, int64_t minimum) {
  std::vector<int64_t> values = n.Ints(name);
  KILN_RETURN_IF_ERROR(n.Problem());
  if (values.empty()) values.assign(rank, otherwise);
  if (values.size() == 1) values.assign(rank, values[0]);
  bool good = values.size() == rank;
  for (const int64_t value : values) good = good && value >= minimum && value <= kMaxExtent;
  if (good) return values;
  return InvalidInput("argument '", name, "' is ", FormatInts(values), ", expected ",
                      static_cast<uint64_t>(rank), " numbers of at least ", minimum);
}

StatusOr<Window> ReadWindow(Node& n, std::vector<int64_t> kernel,
                            const std::vector<int64_t>& strides) {
  Window window;
  window.kernel = std::move(kernel);
  const size_t rank = window.rank();
  for (const int64_t extent : window.kernel) {
    if (extent < 1 || extent > kMaxExtent) {
      return InvalidInput("the kernel is ", FormatInts(window.kernel));
    }
  }
  KILN_ASSIGN_OR_RETURN(window.strides, PerDimension(n, "stride", rank, 1, 1));
  if (n.Ints("stride").empty()) window.strides = strides;
  KILN_ASSIGN_OR_RETURN(window.dilations, PerDimension(n, "dilation", rank, 1, 1));
  // "same" or "valid" is the convolution's to read.
  if (n.String("padding").empty()) {
    KILN_ASSIGN_OR_RETURN(window.pads_low, PerDimension(n, "padding", rank, 0, 0));
  } else {
    window.pads_low.assign(rank, 0);
  }
  window.pads_high = window.pads_low;
  return window;
}

StatusOr<Op*> WithBatch(Node& n, Op* x, size_t rank) {
  if (x->shape().size() != rank + 1) return x;
  Shape shape = x->shape();
  shape.insert(shape.begin(), 1);
  return n.builder().Reshape(x, shape);
}

StatusOr<Op*> WithoutBatch(Node& n, const Op* x, const StatusOr<Op*>& y, size_t rank) {
  if (!y.ok() || x->shape().size() != rank + 1) return y;
  return n.builder().Reshape(y, {(*y)->shape().begin() + 1, (*y)->shape().end()});
}

}  // namespace kiln::pytorch_import
