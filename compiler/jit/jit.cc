#include "compiler/jit/jit.h"

#include <llvm/ExecutionEngine/Orc/LLJIT.h>
#include <llvm/Support/MemoryBuffer.h>

#include <set>

#include "compiler/codegen/driver.h"

namespace kiln {

namespace {

Status ToStatus(llvm::Error error) {
  return InternalError("JIT: ", llvm::toString(std::move(error)));
}

class OrcExecutable : public Executable {
 public:
  static StatusOr<std::unique_ptr<Executable>> Make(Program& program,
                                                    const ObjectOptions& options) {
    auto executable = std::make_unique<OrcExecutable>();
    KILN_ASSIGN_OR_RETURN(executable->block_, TakeParameterBlock(program));
    KILN_RETURN_IF_ERROR(executable->Link(program, options));
    return executable;
  }

  const kiln_library_info& library() const override { return *library_; }
  const void* parameters() const override { return block_.data(); }

 private:
  Status Link(const Program& program, const ObjectOptions& options) {
    auto jit = llvm::orc::LLJITBuilder().create();
    if (!jit) return ToStatus(jit.takeError());
    jit_ = std::move(*jit);
    auto generator = llvm::orc::DynamicLibrarySearchGenerator::GetForCurrentProcess(
        jit_->getDataLayout().getGlobalPrefix());
    if (!generator) return ToStatus(generator.takeError());
    jit_->getMainJITDylib().addGenerator(std::move(*generator));

    KILN_ASSIGN_OR_RETURN(std::vector<KernelObject> objects, CompileKernels(program, options));
    DriverOptions driver_options;
    std::set<std::string> added;
    for (KernelObject& object : objects) {
      driver_options.kernel_symbols.push_back(object.symbol);
      if (!added.insert(object.symbol).second) continue;
      KILN_RETURN_IF_ERROR(AddObject(object.bytes, object.symbol));
    }
    KILN_ASSIGN_OR_RETURN(
        const std::string driver,
        CompileDriver(program, driver_options, options.target, CodeForm::kObject));
    KILN_RETURN_IF_ERROR(AddObject(driver, "driver"));
    auto symbol = jit_->lookup("kiln_library");
    if (!symbol) return ToStatus(symbol.takeError());
    library_ = symbol->toPtr<const kiln_library_info* (*)()>()();
    return OkStatus();
  }

  Status AddObject(const std::string& bytes, const std::string& name) {
    auto error = jit_->addObjectFile(llvm::MemoryBuffer::getMemBufferCopy(bytes, name));
    return error ? ToStatus(std::move(error)) : OkStatus();
  }

  std::unique_ptr<llvm::orc::LLJIT> jit_;
  Pages block_;
  const kiln_library_info* library_ = nullptr;
};

}  // namespace

StatusOr<std::unique_ptr<Executable>> Jit(Program program, const ObjectOptions& options) {
  return OrcExecutable::Make(program, options);
}

}  // namespace kiln
