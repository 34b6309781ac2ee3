// Text in web pages.
#pragma once

#include <string>
#include <string_view>

namespace kiln {

/// `text` for the body or an attribute of an HTML or SVG page. Control characters that such pages
/// must not hold become blanks.
std::string HtmlEscaped(std::string_view text);

}  // namespace kiln
