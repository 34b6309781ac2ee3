#include "compiler/aot/library.h"

#include <set>

#include "compiler/aot/link.h"
#include "compiler/aot/parameter_object.h"
#include "compiler/codegen/driver.h"

namespace kiln {

namespace {

/// A linker with all kernels (each once, in program order), the driver and the parameters.
StatusOr<std::unique_ptr<Linker>> GatherObjects(Program& program, const ObjectOptions& options) {
  KILN_ASSIGN_OR_RETURN(auto linker, Linker::Create());
  KILN_ASSIGN_OR_RETURN(const std::vector<KernelObject> kernels, CompileKernels(program, options));
  std::set<std::string> seen;
  DriverOptions driver_options;
  driver_options.own_parameters = true;
  for (const KernelObject& kernel : kernels) {
    driver_options.kernel_symbols.push_back(kernel.symbol);
    if (seen.insert(kernel.symbol).second) KILN_RETURN_IF_ERROR(linker->Add(kernel.bytes));
  }
  KILN_ASSIGN_OR_RETURN(const std::string driver,
                        CompileDriver(program, driver_options, options.target, CodeForm::kObject));
  KILN_RETURN_IF_ERROR(linker->Add(driver));
  KILN_RETURN_IF_ERROR(WriteParameterObject(program, driver, linker->AddFile()));
  return linker;
}

}  // namespace

Status EmitLibrary(Program& program, const ObjectOptions& options, const std::string& soname,
                   const std::string& output) {
  KILN_ASSIGN_OR_RETURN(const auto linker, GatherObjects(program, options));
  return linker->LinkSharedLibrary(soname, options.target, output);
}

Status EmitObject(Program& program, const ObjectOptions& options, const std::string& output) {
  KILN_ASSIGN_OR_RETURN(const auto linker, GatherObjects(program, options));
  return linker->LinkRelocatable(output);
}

StatusOr<std::string> EmitText(const Program& program, const Target& target, CodeForm form) {
  const char* const comment = form == CodeForm::kLlvmIr ? ";" : "#";
  std::string text;
  DriverOptions driver_options;
  for (size_t i = 0; i < program.kernels.size(); ++i) {
    const std::string symbol = StrCat("kernel", static_cast<int64_t>(i));
    KILN_ASSIGN_OR_RETURN(const std::string code,
                          CompileKernel(program.kernels[i], symbol, target, form));
    text += StrCat(comment, " --- kernel ", static_cast<int64_t>(i), ": ", program.kernels[i].name,
                   "\n", code);
    driver_options.kernel_symbols.push_back(symbol);
  }
  KILN_ASSIGN_OR_RETURN(const std::string driver,
                        CompileDriver(program, driver_options, target, form));
  return StrCat(text, comment, " --- driver\n", driver);
}

}  // namespace kiln
