#include "compiler/lower/memory_use.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <vector>

namespace kiln {

namespace {

struct NamedTensor {
  std::string name;
  int64_t bytes;
};

/// What the user calls the thing that a step computes.
std::string LabelOf(const Step& step) { return step.sources.empty() ? step.name : step.sources[0]; }

/// Every tensor that a run of `function` keeps in memory. Constants, packed weights among them,
/// have no names of their own and go by the first node that reads them.
std::vector<NamedTensor> TensorsOf(const Program& program, const FunctionProgram& function) {
  std::map<int64_t, std::string> readers;  // of the parameter block, by offset
  for (const Step& step : function.steps) {
    for (const BufferRef& ref : step.buffers) {
      if (ref.region == BufferRef::Region::kParameters) {
        readers.emplace(ref.position, LabelOf(step));
      }
    }
  }
  std::vector<NamedTensor> tensors;
  for (const ParameterSlot& slot : program.parameters) {
    std::string name = slot.name;
    if (name.empty()) {
      const auto reader = readers.find(slot.offset);
      name = reader == readers.end() ? "a constant" : "weights of " + reader->second;
    }
    tensors.push_back({std::move(name), slot.value.type().bytes()});
  }
  for (const WorkspaceSlot& slot : function.slots) {
    const bool computed = slot.first < static_cast<int>(function.steps.size());
    tensors.push_back(
        {"result of " + (computed ? LabelOf(function.steps[slot.first]) : slot.name), slot.bytes});
  }
  for (const TensorSpec& input : function.inputs) {
    tensors.push_back({"input " + input.name, input.type.bytes()});
  }
  for (const TensorSpec& output : function.outputs) {
    tensors.push_back({"output " + output.name, output.type.bytes()});
  }
  return tensors;
}

}  // namespace

std::string FormatMemory(int64_t bytes) {
  char text[32];
  const auto value = static_cast<double>(bytes);
  if (bytes < 1 << 20) {
    std::snprintf(text, sizeof(text), "%.1f KiB", value / (1 << 10));
  } else {
    std::snprintf(text, sizeof(text), "%.1f MiB", value / (1 << 20));
  }
  return text;
}

std::string MemoryUse::ToString() const {
  return StrCat(FormatMemory(total()), ": ", FormatMemory(parameters), " of parameters, ",
                FormatMemory(arena), " of intermediates, ", FormatMemory(interface),
                " of inputs and outputs");
}

MemoryUse MemoryUseOf(const Program& program, const FunctionProgram& function) {
  MemoryUse use{.parameters = program.parameters_bytes, .arena = function.workspace_bytes};
  for (const auto* const tensors : {&function.inputs, &function.outputs}) {
    for (const TensorSpec& tensor : *tensors) use.interface += tensor.type.bytes();
  }
  return use;
}

Status CheckMemoryUse(const Program& program, int64_t max_bytes) {
  constexpr size_t kNamed = 5;
  for (const FunctionProgram& function : program.functions) {
    const MemoryUse use = MemoryUseOf(program, function);
    if (use.total() <= max_bytes) continue;
    std::vector<NamedTensor> tensors = TensorsOf(program, function);
    std::ranges::stable_sort(tensors, std::greater(), &NamedTensor::bytes);
    tensors.resize(std::min(tensors.size(), kNamed));
    std::vector<std::string> names;
    for (const NamedTensor& tensor : tensors) {
      names.push_back(StrCat("'", tensor.name, "' ", FormatMemory(tensor.bytes)));
    }
    return InvalidInput("@", function.name, " needs ", use.ToString(), "; the limit is ",
                        FormatMemory(max_bytes), ", the largest tensors are ",
                        StrJoin(names, ", "));
  }
  return OkStatus();
}

}  // namespace kiln
