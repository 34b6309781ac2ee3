// Line diffs of printed IR.
#pragma once

#include <string>
#include <string_view>

namespace kiln {

/// The unified diff (no file headers, `context` lines around each change) that turns `before` into
/// `after`; empty when they are equal. A patience diff: lines that occur once in both texts anchor
/// it, as nearly all lines of SSA text do. O(n log n) in the number of lines.
std::string UnifiedDiff(std::string_view before, std::string_view after, int context = 3);

}  // namespace kiln
