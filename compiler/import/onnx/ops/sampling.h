// Reading an image between its pixels, at points that are values of the graph.
#pragma once

#include <string>
#include <vector>

#include "compiler/import/onnx/node.h"

namespace kiln::onnx_import {

/// A pixel beside each point along one axis: its position (an integer, as a float; it may lie
/// outside the image) and how much it counts. Positions have the shape of the points, weights
/// broadcast to it.
struct Tap {
  StatusOr<Op*> position, weight;
};

/// The work along one axis of the image.
class SampledAxis {
 public:
  /// `align`: coordinates of -1 and 1 are the centres of the outer pixels, not their outer edges.
  SampledAxis(Node& node, int64_t extent, bool align)
      : n_(node), b_(node.builder()), extent_(static_cast<double>(extent)), align_(align) {}

  /// Coordinates from -1 to 1 as pixel positions.
  StatusOr<Op*> Pixels(const StatusOr<Op*>& coordinates);
  /// The pixels around positions that an interpolation (nearest, linear, cubic) reads.
  StatusOr<std::vector<Tap>> Taps(const StatusOr<Op*>& positions, const std::string& mode);
  /// Brings a tap inside the image as the padding mode (zeros, border, reflection) says.
  Status Pad(const std::string& padding, Tap& tap);

 private:
  StatusOr<Op*> Reflect(const StatusOr<Op*>& x);

  Node& n_;
  Builder& b_;
  double extent_;
  bool align_;
};

/// The image [N, C, spatial ..] at points of shape [N, ..]: [N, C, points]. `taps`, inside the
/// image, has an entry for each spatial dimension.
StatusOr<Op*> SampleImage(Node& n, Op* image, const std::vector<std::vector<Tap>>& taps);

}  // namespace kiln::onnx_import
