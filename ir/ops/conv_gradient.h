// What the gradients of the convolutions share. The ops have the attributes of a window and
// `groups`; in the names of the result of conv, w is [O, C/groups, kernel...].
#pragma once

#include "ir/ops/window.h"

namespace kiln {

/// strides, dilations, pads and groups of `op`.
AttributeMap WindowAttributesOf(const Op& op);

/// dL/dx of conv(x, w) over `window`, from dy: a conv_transpose, padded to the extent of x.
StatusOr<Op*> ConvInputGradient(Builder& b, const Op& op, const Window& window, Op* dy, Op* w);

/// conv(x, w), cut to the shape `y` where it has more windows than that.
StatusOr<Op*> ConvOfFirst(Builder& b, const Op& op, Op* x, Op* w, const Shape& y);

}  // namespace kiln
