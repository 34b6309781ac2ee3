// What `kiln dump` and `kiln opt` print: each text as soon as it is there or, with --json, one
// object when all is done: {"printed": what passes printed, "passes": [...], "remarks": [...],
// "text": the IR or the code}. A member that was not asked for is missing.
#pragma once

#include <string>
#include <string_view>

#include "passes/pass_manager.h"
#include "tools/common.h"

namespace kiln {

class IrOutput {
 public:
  explicit IrOutput(const Globals& globals) : json_(globals.json) {}

  /// Where the passes print; `this` must outlive the callback.
  std::function<void(std::string_view)> Printer();
  /// What the passes did, after they ran.
  void AddPasses(const PassManager& manager, bool remarks, bool timing);
  /// The IR or the code itself.
  void AddText(std::string_view text);
  /// Prints the object; nothing without --json.
  void Finish() const;

 private:
  bool json_;
  Json object_ = Json::object();
};

}  // namespace kiln
