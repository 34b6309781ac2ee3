#include "tools/html.h"

#include <algorithm>
#include <cctype>
#include <string_view>
#include <vector>

#include "ir/graph/printer.h"
#include "ir/support/strings.h"
#include "passes/diff.h"
#include "runtime/html.h"
#include "tools/common.h"

namespace kiln {

namespace {

constexpr char kStyle[] =
    "body{font-family:sans-serif;margin:1em 2em}pre{color:#444;line-height:1.4;overflow-x:auto}"
    "a{color:#06c;text-decoration:none}b{color:#000}b:target{background:#fe8}"
    "summary{cursor:pointer}h2{display:inline;font-size:1.1em}.same{color:#888}"
    ".add{background:#dfd;color:#040}.cut{background:#fdd;color:#600}.at{color:#888}"
    ".fired{color:#060}.refused{color:#840}";

bool IsNameCharacter(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '-' ||
         c == '/';
}

/// One line of text; `%name` is an anchor where a value is defined and a link elsewhere. Names
/// inside strings stay text. `scope` keeps equal names of different graphs apart.
std::string HtmlLine(std::string_view line, const std::string& scope) {
  const size_t start = std::min(line.find_first_not_of(' '), line.size());
  const std::string_view trimmed = line.substr(start);
  const bool declares_inputs = trimmed.starts_with("func @") || trimmed.starts_with("(");
  std::string out;
  bool in_string = false;
  for (size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (c == '\\' && in_string && i + 1 < line.size()) {
      out += HtmlEscaped(line.substr(i++, 2));
      continue;
    }
    if (c == '"') in_string = !in_string;
    if (c != '%' || in_string) {
      out += HtmlEscaped(line.substr(i, 1));
      continue;
    }
    size_t end = i + 1;
    while (end < line.size() && IsNameCharacter(line[end])) ++end;
    const std::string name(line.substr(i, end - i));
    const std::string id = scope + name.substr(1);
    const std::string_view rest = line.substr(end);
    const bool defines =
        (i == start && rest.starts_with(" =")) || (declares_inputs && rest.starts_with(": "));
    out += defines ? StrCat("<b id=\"", id, "\">", name, "</b>")
                   : StrCat("<a href=\"#", id, "\">", name, "</a>");
    i = end - 1;
  }
  return out + "\n";
}

/// A module's text. A graph's text is what stands between the braces; the line of `func` declares
/// its inputs.
std::string HtmlText(const std::string& text, const std::string& stage) {
  std::string html = "<pre>";
  std::vector<std::string> scopes = {stage};
  int graphs = 0;
  for (const std::string& line : StrSplit(text, '\n')) {
    const bool function = line.starts_with("  func @");
    if (function) scopes.push_back(StrCat(stage, "g", ++graphs, "."));
    if (line.ends_with("}") && line.find_first_not_of(" }") == line.npos && scopes.size() > 1) {
      scopes.pop_back();
    }
    html += HtmlLine(line, scopes.back());
    if (line.ends_with("{") && line.starts_with("    "))
      scopes.push_back(StrCat(stage, "g", ++graphs, "."));
  }
  return html + "</pre>\n";
}

std::string HtmlDiff(const std::string& diff) {
  std::string html = "<pre>";
  for (const std::string& line : StrSplit(diff, '\n')) {
    const char* const kind = line.starts_with("+")    ? "add"
                             : line.starts_with("-")  ? "cut"
                             : line.starts_with("@@") ? "at"
                                                      : nullptr;
    const std::string text = HtmlEscaped(line);
    html += kind == nullptr ? text : StrCat("<span class=\"", kind, "\">", text, "</span>");
    html += "\n";
  }
  return html + "</pre>\n";
}

std::string HtmlRemarks(std::span<const Remark> remarks) {
  std::string html = "<ul>\n";
  for (const Remark& remark : remarks) {
    const bool fired = remark.kind == Remark::Kind::kFired;
    html += StrCat("<li class=\"", fired ? "fired" : "refused", "\">",
                   HtmlEscaped(remark.ToString()), "</li>\n");
  }
  return html + "</ul>\n";
}

/// A part that opens at a click.
std::string Folded(std::string_view title, std::string_view content, bool open = false) {
  return StrCat("<details", open ? " open" : "", "><summary>", title, "</summary>\n", content,
                "</details>\n");
}

}  // namespace

HtmlReport::HtmlReport(const Module& module) : title_(module.name), last_text_(Print(module)) {
  body_ = Folded("<h2>imported</h2>", HtmlText(last_text_, "s0."), true);
}

void HtmlReport::AddPass(const PassReport& report, std::span<const Remark> remarks,
                         const Module& after) {
  const std::string stage = StrCat("s", ++stages_, ".");
  std::string text = Print(after);
  const std::string diff = UnifiedDiff(last_text_, text);
  last_text_ = std::move(text);
  std::string content;
  if (!remarks.empty()) content += Folded("remarks", HtmlRemarks(remarks));
  if (!diff.empty()) {
    content += Folded("changes", HtmlDiff(diff), true);
    content += Folded("the module afterwards", HtmlText(last_text_, stage));
  }
  const std::string title =
      StrCat("<h2", diff.empty() ? " class=\"same\"" : "", ">", HtmlEscaped(report.name), "</h2> ",
             report.rewrites, " rewrites, ", Format("%.2f ms", report.seconds * 1e3),
             diff.empty() ? ", nothing changed" : "");
  body_ += Folded(title, content);
}

std::string HtmlReport::Page() const {
  return StrCat("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>",
                HtmlEscaped(title_), "</title>\n<style>", kStyle, "</style></head>\n<body>\n<h1>",
                HtmlEscaped(title_), "</h1>\n", body_, "</body></html>\n");
}

}  // namespace kiln
