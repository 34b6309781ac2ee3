#include "compiler/aot/library.h"

#include <set>

#include "compiler/aot/link.h"
#include "compiler/aot/parameter_object.h"
#include "compiler/codegen/driver.h"
#include "runtime/file.h"

namespace kiln {

namespace {

/// Adds all kernels (each once, in program order) and the driver, whose object file it returns.
StatusOr<std::string> AddCode(const Program& program, const ObjectOptions& options,
                              Linker& linker) {
  KILN_ASSIGN_OR_RETURN(const std::vector<KernelObject> kernels, CompileKernels(program, options));
  std::set<std::string> seen;
  DriverOptions driver_options;
  driver_options.own_parameters = true;
  for (const KernelObject& kernel : kernels) {
    driver_options.kernel_symbols.push_back(kernel.symbol);
    if (seen.insert(kernel.symbol).second) KILN_RETURN_IF_ERROR(linker.Add(kernel.bytes));
  }
  KILN_ASSIGN_OR_RETURN(std::string driver,
                        CompileDriver(program, driver_options, options.target, CodeForm::kObject));
  KILN_RETURN_IF_ERROR(linker.Add(driver));
  return driver;
}

}  // namespace

Status EmitLibrary(const Program& program, const ObjectOptions& options, const std::string& soname,
                   const std::string& output) {
  KILN_ASSIGN_OR_RETURN(const auto linker, Linker::Create());
  KILN_ASSIGN_OR_RETURN(const std::string driver, AddCode(program, options, *linker));
  KILN_ASSIGN_OR_RETURN(const std::string placeholder, PlaceholderObject(driver));
  KILN_RETURN_IF_ERROR(linker->Add(placeholder));
  KILN_ASSIGN_OR_RETURN(const auto library, linker->LinkSharedLibrary(soname, options.target));
  return WriteLibraryWithParameters(program, library->bytes(), output);
}

Status EmitObject(Program& program, const ObjectOptions& options, const std::string& output) {
  KILN_ASSIGN_OR_RETURN(const auto linker, Linker::Create());
  KILN_ASSIGN_OR_RETURN(const std::string driver, AddCode(program, options, *linker));
  KILN_RETURN_IF_ERROR(WriteParameterObject(program, driver, linker->AddFile()));
  KILN_ASSIGN_OR_RETURN(const auto object, linker->LinkRelocatable());
  return WriteFile(output, {object->bytes()});
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
