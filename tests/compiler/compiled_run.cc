#include "tests/compiler/compiled_run.h"

#include "compiler/codegen/target_info.h"
#include "runtime/session.h"

namespace kiln::testing_support {

namespace {

HostTensor ToHost(const Array& array) {
  const Tensor tensor = array.ToTensor();
  HostTensor host;
  host.dtype = static_cast<kiln_dtype>(array.element);
  host.shape = array.shape;
  host.bytes.assign(tensor.bytes().begin(), tensor.bytes().end());
  return host;
}

Array FromHost(const HostTensor& host) {
  TensorType type{static_cast<ElementType>(host.dtype), host.shape, {}};
  return Array::FromTensor(Tensor(type, {host.bytes.begin(), host.bytes.end()}));
}

}  // namespace

StatusOr<std::vector<Array>> RunCompiled(const Executable& executable, const std::string& name,
                                         const std::vector<Array>& inputs,
                                         const kiln_executor* executor) {
  const kiln_library_info& library = executable.library();
  for (int i = 0; i < library.num_functions; ++i) {
    if (library.functions[i].name != name) continue;
    KILN_ASSIGN_OR_RETURN(
        Session session,
        Session::Create(&library.functions[i],
                        {.executor = executor, .parameters = executable.parameters()}));
    std::vector<HostTensor> tensors;
    for (const Array& input : inputs) tensors.push_back(ToHost(input));
    KILN_ASSIGN_OR_RETURN(const std::vector<HostTensor> results, session.Run(tensors));
    std::vector<Array> outputs;
    for (const HostTensor& result : results) outputs.push_back(FromHost(result));
    return outputs;
  }
  return InternalError("no function ", name);
}

StatusOr<Target> TargetThisMachineRuns(const std::string& cpu) {
  KILN_ASSIGN_OR_RETURN(const Target host, HostTarget());
  KILN_ASSIGN_OR_RETURN(const Target target, MakeTarget("", cpu));
  if (target.vector_bytes > host.vector_bytes) return Unsupported("this machine has no ", cpu);
  return target;
}

}  // namespace kiln::testing_support
