#include "tests/compiler/run_program.h"

#include <cstring>

#include "ir/loop/interpret.h"
#include "ir/support/strings.h"

namespace kiln::testing_support {

StatusOr<std::vector<Array>> RunProgram(const Program& program, const FunctionProgram& function,
                                        const std::vector<Array>& inputs) {
  std::vector<std::vector<char>> input_bytes;
  std::vector<std::vector<char>> output_bytes;
  for (const Array& input : inputs) {
    const Tensor tensor = input.ToTensor();
    input_bytes.emplace_back(tensor.bytes().begin(), tensor.bytes().end());
  }
  for (const TensorSpec& output : function.outputs) output_bytes.emplace_back(output.type.bytes());
  // What the workspace holds before a call is arbitrary.
  std::vector<char> workspace(static_cast<size_t>(function.workspace_bytes), '\x7f');
  std::vector<char> parameters(static_cast<size_t>(program.parameters_bytes));
  for (const ParameterSlot& slot : program.parameters) {
    if (slot.value.bytes().empty()) continue;
    std::memcpy(&parameters[slot.offset], slot.value.bytes().data(), slot.value.bytes().size());
  }
  for (const Step& step : function.steps) {
    std::vector<void*> buffers;
    for (const BufferRef& ref : step.buffers) {
      switch (ref.region) {
        case BufferRef::Region::kInput: buffers.push_back(input_bytes[ref.position].data()); break;
        case BufferRef::Region::kOutput:
          buffers.push_back(output_bytes[ref.position].data());
          break;
        case BufferRef::Region::kWorkspace: buffers.push_back(&workspace[ref.position]); break;
        case BufferRef::Region::kParameters: buffers.push_back(&parameters[ref.position]); break;
      }
    }
    const loop::Kernel& kernel = program.kernels[step.kernel];
    KILN_RETURN_IF_ERROR(
        Annotate(loop::Interpret(kernel, buffers), step.name + "\n" + loop::ToString(kernel)));
  }
  std::vector<Array> outputs;
  for (size_t i = 0; i < output_bytes.size(); ++i) {
    outputs.push_back(Array::FromTensor(Tensor(function.outputs[i].type, output_bytes[i])));
  }
  return outputs;
}

}  // namespace kiln::testing_support
