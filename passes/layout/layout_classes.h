// Layout classes: the values of a graph that should lie alike, because ops between them run over
// the same elements: a residual sum and both its terms, a pool and what it reads, the parts of a
// concat, a depthwise convolution and its image. Every class has the convolutions that compute its
// values; one layout is chosen for all, by cost.
//
//   blocked       N C/B H W B    whole vectors of channels; needs channels in whole blocks
//   channels last N H W C        any number of channels, and neighbours among them (lrn)
//   plain         N C H W        lanes along the image: few channels
//
// A convolution reads its image element by element, whatever its layout, so classes meet there and
// nothing has to be moved.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "passes/pass.h"

namespace kiln {

/// The op that decides how a value is computed: a fusion's root contraction or reduction, or the op
/// itself.
const Op& CoreOf(const Op& op);
bool IsConvolution(const Op& op);     ///< of any form, alone or with an epilogue
bool IsWeightGradient(const Op& op);  ///< of a convolution, alone or with an epilogue
/// The dimension of the weights of `conv`, a convolution, that holds its result's channels.
int OutputChannelDim(const Op& conv);

/// A computed f32 value [N, C, spatial...] with more than one spatial position; no gradient of
/// weights.
bool IsImage(const Op& op);

/// Ops that run over the elements of their images and can do so in any order: elementwise, pools,
/// pad, slice, concat, transpose.
bool FollowsLayout(const Op& op);

struct LayoutClass {
  enum class Kind { kPlain, kBlocked, kChannelsLast };
  std::vector<Op*> members;       ///< in graph order
  std::vector<Op*> convolutions;  ///< those among them
  Kind kind = Kind::kPlain;
  std::string reason;  ///< why this kind
};

/// The classes that hold a convolution, in the order of their first.
std::vector<LayoutClass> FindLayoutClasses(const Graph& graph, int64_t lanes);

/// The layout of an image of `rank` in a class of this kind, channels in dimension 1.
Layout ImageLayout(LayoutClass::Kind kind, int rank, int64_t lanes);

}  // namespace kiln
