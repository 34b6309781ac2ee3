#include "tools/program_text.h"

#include <algorithm>
#include <vector>

#include "tools/common.h"

namespace kiln {

namespace {

std::string StepText(const Step& step) {
  return step.sources.empty() ? step.name : StrJoin(step.sources, ",");
}

std::string SlotRow(const WorkspaceSlot& slot) {
  return StrCat(Pad(StrCat(slot.offset), -12), Pad(StrCat(slot.bytes), -12),
                Pad(StrCat(slot.first, "-", slot.last), -12), "  ", slot.name, "\n");
}

/// The most bytes alive during one step.
int64_t LargestLiveBytes(const FunctionProgram& function) {
  int64_t largest = 0;
  for (int step = 0; step < static_cast<int>(function.steps.size()); ++step) {
    int64_t live = 0;
    for (const WorkspaceSlot& slot : function.slots) {
      if (slot.first <= step && step <= slot.last) live += slot.bytes;
    }
    largest = std::max(largest, live);
  }
  return largest;
}

std::string FunctionMemoryText(const FunctionProgram& function) {
  int64_t sum = 0;
  std::string rows;
  for (const WorkspaceSlot& slot : function.slots) {
    sum += slot.bytes;
    rows += SlotRow(slot);
  }
  const auto bytes = [](int64_t count) { return FormatBytes(static_cast<double>(count)); };
  return StrCat("function ", function.name, ": ", function.steps.size(), " steps, ",
                function.slots.size(), " slots\n", Pad("offset", -12), Pad("bytes", -12),
                Pad("steps", -12), "  value\n", rows, "arena ", bytes(function.workspace_bytes),
                "; without sharing ", bytes(sum), "; largest live set ",
                bytes(LargestLiveBytes(function)), "\n");
}

}  // namespace

std::string KernelsText(const Program& program) {
  std::vector<std::string> callers(program.kernels.size());
  for (const FunctionProgram& function : program.functions) {
    for (const Step& step : function.steps) {
      callers[static_cast<size_t>(step.kernel)] +=
          StrCat("//   @", function.name, ": ", StepText(step), ", ",
                 Format("%.3f MFLOP", step.flops * 1e-6), "\n");
    }
  }
  std::string text;
  for (size_t i = 0; i < program.kernels.size(); ++i) {
    if (callers[i].empty()) continue;
    text += StrCat("// kernel ", i, " ", program.kernels[i].name, "\n", callers[i],
                   loop::ToString(program.kernels[i]), "\n");
  }
  return text;
}

std::string MemoryText(const Program& program) {
  std::string text;
  for (const FunctionProgram& function : program.functions) text += FunctionMemoryText(function);
  return StrCat(text, "parameters ", FormatBytes(static_cast<double>(program.parameters_bytes)),
                " in ", program.parameters.size(), " tensors\n");
}

}  // namespace kiln
