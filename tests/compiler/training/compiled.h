// A compiled module and a parameter block of its own: what a training run holds.
#pragma once

#include <cstring>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "compiler/codegen/target_info.h"
#include "compiler/compile.h"
#include "ir/eval/array.h"
#include "runtime/session.h"

namespace kiln {

/// Options for modules whose parameters change: they are no constants.
inline StatusOr<CompileOptions> TrainingCompileOptions() {
  CompileOptions options;
  KILN_ASSIGN_OR_RETURN(options.target, HostTarget());
  options.threads = 2;
  options.passes.rewrites.freeze_parameters = false;
  return options;
}

class CompiledModule {
 public:
  static StatusOr<std::unique_ptr<CompiledModule>> Make(const Module& module) {
    KILN_ASSIGN_OR_RETURN(const CompileOptions options, TrainingCompileOptions());
    std::unique_ptr<CompiledModule> result(new CompiledModule);
    KILN_ASSIGN_OR_RETURN(result->executable_, CompileForHost(module.Clone(), options));
    const kiln_library_info& library = result->executable_->library();
    result->storage_.resize(library.parameters_bytes + KILN_PARAMETERS_ALIGNMENT);
    const auto start = reinterpret_cast<uintptr_t>(result->storage_.data());
    const size_t past = start % KILN_PARAMETERS_ALIGNMENT;
    result->block_ = result->storage_.data() + (past == 0 ? 0 : KILN_PARAMETERS_ALIGNMENT - past);
    result->Reset();
    return result;
  }

  /// Parameters as they were compiled.
  void Reset() {
    std::memcpy(block_, executable_->parameters(), executable_->library().parameters_bytes);
  }

  const kiln_function_info* Find(const std::string& name) const {
    const kiln_library_info& library = executable_->library();
    for (int i = 0; i < library.num_functions; ++i) {
      if (library.functions[i].name == name) return &library.functions[i];
    }
    return nullptr;
  }

  StatusOr<std::vector<Array>> Run(const std::string& name, const std::vector<Array>& inputs,
                                   const kiln_executor* executor = nullptr) {
    const kiln_function_info* const function = Find(name);
    if (function == nullptr) return InternalError("no function ", name);
    auto [session, inserted] = sessions_.try_emplace(name);
    if (inserted) {
      KILN_ASSIGN_OR_RETURN(Session made, Session::Create(function, {.parameters = block_}));
      session->second = std::make_unique<Session>(std::move(made));
    }
    session->second->set_executor(executor);
    std::vector<HostTensor> tensors;
    for (const Array& input : inputs) {
      const Tensor tensor = input.ToTensor();
      tensors.push_back({static_cast<kiln_dtype>(input.element),
                         input.shape,
                         {tensor.bytes().begin(), tensor.bytes().end()}});
    }
    KILN_ASSIGN_OR_RETURN(const std::vector<HostTensor> results, session->second->Run(tensors));
    std::vector<Array> outputs;
    for (const HostTensor& result : results) {
      const TensorType type{static_cast<ElementType>(result.dtype), result.shape, {}};
      outputs.push_back(Array::FromTensor(Tensor(type, result.bytes)));
    }
    return outputs;
  }

  /// The present values of an f32 parameter.
  std::span<const float> Parameter(const std::string& name) const {
    const kiln_library_info& library = executable_->library();
    for (int i = 0; i < library.num_parameters; ++i) {
      const kiln_tensor_info& info = library.parameters[i];
      if (info.name != name) continue;
      return {reinterpret_cast<const float*>(block_ + library.parameter_offsets[i]),
              info.bytes / sizeof(float)};
    }
    return {};
  }

 private:
  CompiledModule() = default;
  std::unique_ptr<Executable> executable_;
  std::vector<char> storage_;
  char* block_ = nullptr;
  std::map<std::string, std::unique_ptr<Session>> sessions_;
};

}  // namespace kiln
