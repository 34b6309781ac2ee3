#include "compiler/import/foreign/problems.h"

namespace kiln::foreign {

namespace {

constexpr size_t kMaxLines = 500;

}  // namespace

std::string Printable(const std::string& name) {
  std::string text = name;
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return text;
}

void ProblemList::Add(const std::string& node, const Status& status) {
  all_unsupported_ &= status.code() == absl::StatusCode::kUnimplemented;
  if (lines_.size() >= kMaxLines) {
    ++left_out_;
    return;
  }
  lines_.push_back(node.empty() ? Message(status) : StrCat(node, ": ", Message(status)));
}

Status ProblemList::ToStatus() const {
  if (lines_.empty()) return OkStatus();
  std::string message = StrJoin(lines_, "\n");
  if (left_out_ > 0) message += StrCat("\nand ", left_out_, " more");
  return all_unsupported_ ? Unsupported(message) : InvalidInput(message);
}

Status CheckCount(const char* what, int found, const Arity& allowed) {
  if (found >= allowed.min && found <= allowed.max) return OkStatus();
  return InvalidInput("has ", found, " ", what, ", expected ", allowed.min,
                      allowed.max == allowed.min ? std::string()
                      : allowed.max == kAny      ? std::string(" or more")
                                                 : StrCat(" to ", allowed.max));
}

Status InEveryLine(const std::string& path, const Status& status) {
  if (status.ok()) return status;
  std::vector<std::string> lines = StrSplit(Message(status), '\n');
  for (std::string& line : lines) line = StrCat(path, ": ", line);
  return Status(status.code(), StrJoin(lines, "\n"));
}

}  // namespace kiln::foreign
