#include "compiler/import/tensorflow/ops/window.h"

#include "compiler/import/foreign/build.h"

namespace kiln::tensorflow_import {

StatusOr<std::vector<int64_t>> SpatialNumbers(Node& n, const std::string& attribute,
                                              size_t spatial_rank) {
  std::vector<int64_t> all = n.Ints(attribute);
  if (all.empty()) all.assign(spatial_rank + 2, 1);
  const size_t channel = n.ChannelsComeFirst() ? 1 : spatial_rank + 1;
  if (all.size() != spatial_rank + 2 || all[0] != 1 || all[channel] != 1) {
    return Unsupported("attribute '", attribute, "' of ", FormatInts(all), " is not supported");
  }
  all.erase(all.begin() + static_cast<int64_t>(channel));
  all.erase(all.begin());
  for (const int64_t value : all) {
    if (value < 1 || value > kMaxExtent) {
      return InvalidInput("attribute '", attribute, "' is out of range");
    }
  }
  return all;
}

StatusOr<Window> ReadWindow(Node& n, const Shape& spatial, const std::vector<int64_t>& kernel) {
  Window window;
  const size_t rank = spatial.size();
  if (kernel.size() != rank) return InvalidInput("the window does not fit the data");
  window.kernel = kernel;
  KILN_ASSIGN_OR_RETURN(window.strides, SpatialNumbers(n, "strides", rank));
  KILN_ASSIGN_OR_RETURN(window.dilations, SpatialNumbers(n, "dilations", rank));
  window.pads_low.assign(rank, 0);
  window.pads_high.assign(rank, 0);
  for (const int64_t extent : kernel) {
    if (extent < 1 || extent > kMaxExtent) return InvalidInput("the window is out of range");
  }
  const std::string padding = n.String("padding");
  if (padding == "VALID") return window;
  if (padding == "SAME") {
    PadSame(window, spatial, /*upper=*/true);
    return window;
  }
  if (padding != "EXPLICIT") return InvalidInput("attribute 'padding' is ", Quote(padding));
  // A pair for each dimension of the data.
  const std::vector<int64_t> pads = n.Ints("explicit_paddings");
  if (pads.size() != 2 * (rank + 2)) {
    return InvalidInput("attribute 'explicit_paddings' is ", FormatInts(pads));
  }
  for (size_t d = 0; d < rank; ++d) {
    const size_t at = 2 * (d + (n.ChannelsComeFirst() ? 2 : 1));
    window.pads_low[d] = pads[at];
    window.pads_high[d] = pads[at + 1];
    if (pads[at] < 0 || pads[at + 1] < 0 || pads[at] > kMaxExtent || pads[at + 1] > kMaxExtent) {
      return InvalidInput("attribute 'explicit_paddings' is out of range");
    }
  }
  return window;
}

StatusOr<Op*> DataChannelsFirst(Node& n, int i) {
  return n.ChannelsComeFirst() ? n.input(i) : ChannelsFirst(n.builder(), n.input(i));
}

StatusOr<Op*> AsDataFormat(Node& n, const StatusOr<Op*>& y) {
  return n.ChannelsComeFirst() ? y : ChannelsLast(n.builder(), y);
}

}  // namespace kiln::tensorflow_import
