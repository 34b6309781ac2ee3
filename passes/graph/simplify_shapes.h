// The laws of simplify-algebra about shapes and movement; see simplify_shapes.cc.
#pragma once

#include <vector>

#include "passes/rewrite.h"

namespace kiln {

const std::vector<RewriteRule>& ShapeRules();

}  // namespace kiln
