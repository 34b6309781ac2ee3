#include "tools/runner.h"

#include "ir/eval/interpreter.h"
#include "runtime/library.h"
#include "tools/inputs.h"
#include "tools/model.h"

namespace kiln {

namespace {

std::vector<TensorSignature> Signatures(const kiln_tensor_info* tensors, int32_t count) {
  std::vector<TensorSignature> signatures;
  for (int32_t i = 0; i < count; ++i) {
    signatures.push_back(
        {tensors[i].name, static_cast<kiln_dtype>(tensors[i].dtype), ShapeOf(tensors[i])});
  }
  return signatures;
}

TensorSignature Signature(const std::string& name, const TensorType& type) {
  return {name, ToDtype(type.element), type.shape};
}

}  // namespace

StatusOr<Session> CompiledFunction::NewSession(const kiln_executor* executor) const {
  KILN_RETURN_IF_ERROR(CheckMemory(InputsOf(*info), OutputsOf(*info), info->workspace_bytes));
  return Session::Create(info, {executor, parameters, owner});
}

MemoryUse CompiledFunction::memory() const {
  MemoryUse use{.parameters = static_cast<int64_t>(library->parameters_bytes),
                .arena = static_cast<int64_t>(info->workspace_bytes)};
  for (int32_t i = 0; i < info->num_inputs; ++i) use.interface += info->inputs[i].bytes;
  for (int32_t i = 0; i < info->num_outputs; ++i) use.interface += info->outputs[i].bytes;
  return use;
}

StatusOr<CompiledFunction> CompileFunction(std::unique_ptr<Module> module,
                                           const std::string& function,
                                           const CompileOptions& options, CompileTimes* times) {
  KILN_RETURN_IF_ERROR(FindFunction(*module, function).status());
  KILN_ASSIGN_OR_RETURN(std::shared_ptr<const Executable> executable,
                        CompileForHost(std::move(module), options, times));
  CompiledFunction compiled{executable, &executable->library(), nullptr, executable->parameters()};
  for (int32_t i = 0; i < compiled.library->num_functions; ++i) {
    if (compiled.library->functions[i].name == function) {
      compiled.info = &compiled.library->functions[i];
      return compiled;
    }
  }
  return InternalError("the function '", function, "' was not compiled");
}

StatusOr<CompiledFunction> LoadFunction(const std::string& path, const std::string& function,
                                        int64_t max_memory) {
  KILN_ASSIGN_OR_RETURN(const std::shared_ptr<const Library> library, Library::Open(path));
  CompiledFunction loaded{library, &library->info(), library->info().functions, nullptr};
  if (library->info().num_functions != 1) {
    auto found = library->Function(function);
    if (!found.ok()) return Annotate(found.status(), path);
    loaded.info = *found;
  }
  if (max_memory > 0 && loaded.memory().total() > max_memory) {
    return InvalidInput(path, ": @", loaded.info->name, " needs ", loaded.memory().ToString(),
                        "; the limit is ", FormatMemory(max_memory));
  }
  KILN_ASSIGN_OR_RETURN(const auto block, InFile(path, library->CopyParameters()));
  if (block != nullptr) {
    loaded.parameters = block->data();
    using Owners = std::pair<std::shared_ptr<const Library>, std::shared_ptr<const Pages>>;
    loaded.owner = std::make_shared<const Owners>(library, block);
  }
  return loaded;
}

StatusOr<std::vector<HostTensor>> InterpretFunction(const Graph& graph,
                                                    std::span<const HostTensor> inputs) {
  std::vector<Array> arrays;
  for (const HostTensor& input : inputs) arrays.push_back(ToArray(input));
  KILN_ASSIGN_OR_RETURN(const std::vector<Array> results, Interpret(graph, arrays));
  std::vector<HostTensor> outputs;
  for (const Array& result : results) outputs.push_back(ToHostTensor(result));
  return outputs;
}

std::vector<TensorSignature> InputsOf(const kiln_function_info& function) {
  return Signatures(function.inputs, function.num_inputs);
}

std::vector<TensorSignature> OutputsOf(const kiln_function_info& function) {
  return Signatures(function.outputs, function.num_outputs);
}

std::vector<TensorSignature> InputsOf(const Graph& graph) {
  std::vector<TensorSignature> signatures;
  for (const Op* input : graph.inputs()) {
    signatures.push_back(Signature(PublicName(*input), input->type()));
  }
  return signatures;
}

std::vector<TensorSignature> OutputsOf(const Graph& graph) {
  std::vector<TensorSignature> signatures;
  for (const Graph::Output& output : graph.outputs()) {
    signatures.push_back(Signature(output.name, output.value->type()));
  }
  return signatures;
}

}  // namespace kiln
