// A web page about a module's way through the passes: after each of them its text, where every use
// of a value links to its definition, what the pass changed, and what it remarked. One file,
// without scripts and without anything from elsewhere.
#pragma once

#include <span>
#include <string>

#include "ir/graph/graph.h"
#include "passes/pass_manager.h"

namespace kiln {

class HtmlReport {
 public:
  /// `module` as it was read.
  explicit HtmlReport(const Module& module);

  /// What PassOptions::observe is told.
  void AddPass(const PassReport& report, std::span<const Remark> remarks, const Module& after);

  std::string Page() const;

 private:
  std::string title_;
  std::string last_text_;  ///< of the module, as the last pass left it
  std::string body_;
  int stages_ = 0;
};

}  // namespace kiln
