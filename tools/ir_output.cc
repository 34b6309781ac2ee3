#include "tools/ir_output.h"

namespace kiln {

namespace {

Json ToJson(const Remark& remark) {
  return {{"fired", remark.kind == Remark::Kind::kFired},
          {"pass", remark.pass},
          {"rule", remark.rule},
          {"function", remark.function},
          {"text", remark.text}};
}

Json ToJson(const PassReport& report) {
  return {{"name", report.name},
          {"changed", report.changed},
          {"rewrites", report.rewrites},
          {"milliseconds", report.seconds * 1e3}};
}

}  // namespace

std::function<void(std::string_view)> IrOutput::Printer() {
  if (!json_) return PrintOut;
  return [this](std::string_view text) {
    Json& printed = object_["printed"];
    printed = printed.is_null() ? std::string(text) : StrCat(printed.get<std::string>(), text);
  };
}

void IrOutput::AddPasses(const PassManager& manager, bool remarks, bool timing) {
  const auto& remarked = manager.context().remarks();
  if (json_) {
    for (const PassReport& report : manager.reports()) object_["passes"].push_back(ToJson(report));
    if (!remarks) return;
    object_["remarks"] = Json::array();
    for (const Remark& remark : remarked) object_["remarks"].push_back(ToJson(remark));
    return;
  }
  if (remarks) {
    for (const Remark& remark : remarked) PrintOut(remark.ToString() + "\n");
  }
  if (timing) PrintOut(manager.TimingTable());
}

void IrOutput::AddText(std::string_view text) {
  if (json_) {
    object_["text"] = text;
  } else {
    PrintOut(text);
  }
}

void IrOutput::Finish() const {
  if (json_) PrintJson(object_);
}

}  // namespace kiln
