// What is wrong with a foreign model, collected so that everything is said at once.
#pragma once

#include <string>
#include <vector>

#include "ir/support/status.h"

namespace kiln::foreign {

/// A name from a file as a message shows it: control characters are replaced.
std::string Printable(const std::string& name);

/// Problems found, one line each, "NODE: reason".
class ProblemList {
 public:
  /// `status` must be an error. A list in which everything is Unimplemented stays Unimplemented.
  void Add(const std::string& node, const Status& status);
  bool empty() const { return lines_.empty(); }
  /// OK when there are none.
  Status ToStatus() const;

 private:
  std::vector<std::string> lines_;
  int64_t left_out_ = 0;
  bool all_unsupported_ = true;
};

/// How many operands or results something may have.
struct Arity {
  int min;
  int max;
};
inline constexpr int kAny = 1 << 20;  ///< no limit

/// "has 1 inputs, expected 2 to 3" where `found` is not allowed.
Status CheckCount(const char* what, int found, const Arity& allowed);

/// `status` with "path: " before every line of its message.
Status InEveryLine(const std::string& path, const Status& status);

}  // namespace kiln::foreign
