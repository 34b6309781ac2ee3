// Test helper: compiles a kernel to an object, links it in process and runs it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "compiler/codegen/codegen.h"
#include "compiler/codegen/target_info.h"
#include "llvm/ExecutionEngine/Orc/LLJIT.h"
#include "llvm/Support/MemoryBuffer.h"

namespace kiln {

class CompiledKernel {
 public:
  static StatusOr<CompiledKernel> Make(const loop::Kernel& kernel, const Target& target) {
    KILN_ASSIGN_OR_RETURN(const std::string object,
                          CompileKernel(kernel, "test", target, CodeForm::kObject));
    CompiledKernel result;
    auto jit = llvm::orc::LLJITBuilder().create();
    if (!jit) return InternalError(llvm::toString(jit.takeError()));
    result.jit_ = std::move(*jit);
    auto symbols = llvm::orc::DynamicLibrarySearchGenerator::GetForCurrentProcess(
        result.jit_->getDataLayout().getGlobalPrefix());
    if (!symbols) return InternalError(llvm::toString(symbols.takeError()));
    result.jit_->getMainJITDylib().addGenerator(std::move(*symbols));
    if (auto error =
            result.jit_->addObjectFile(llvm::MemoryBuffer::getMemBufferCopy(object, "test"))) {
      return InternalError(llvm::toString(std::move(error)));
    }
    result.extents_ = SectionExtents(kernel);
    for (size_t i = 0; i < result.extents_.size(); ++i) {
      auto address = result.jit_->lookup("test_s" + std::to_string(i));
      if (!address) return InternalError(llvm::toString(address.takeError()));
      result.sections_.push_back(address->toPtr<Section>());
    }
    return result;
  }

  /// Runs all sections; each parallel range in two halves.
  void Run(const std::vector<void*>& buffers) const {
    for (size_t i = 0; i < sections_.size(); ++i) {
      const int64_t middle = extents_[i] / 2;
      if (middle > 0) sections_[i](buffers.data(), 0, middle);
      sections_[i](buffers.data(), middle, extents_[i]);
    }
  }

 private:
  using Section = void (*)(void* const*, int64_t, int64_t);

  std::unique_ptr<llvm::orc::LLJIT> jit_;
  std::vector<int64_t> extents_;
  std::vector<Section> sections_;
};

}  // namespace kiln
