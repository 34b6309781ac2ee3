#include "compiler/aot/library.h"

#include <set>

#include "compiler/aot/link.h"
#include "compiler/codegen/driver.h"

namespace kiln {

namespace {

/// The objects of all kernels (each once, in program order) and the driver.
StatusOr<std::vector<std::string>> AllObjects(const Program& program,
                                              const ObjectOptions& options) {
  KILN_ASSIGN_OR_RETURN(std::vector<KernelObject> kernels, CompileKernels(program, options));
  std::vector<std::string> objects;
  std::set<std::string> seen;
  DriverOptions driver_options;
  driver_options.embed_parameters = true;
  for (KernelObject& kernel : kernels) {
    driver_options.kernel_symbols.push_back(kernel.symbol);
    if (seen.insert(kernel.symbol).second) objects.push_back(std::move(kernel.bytes));
  }
  KILN_ASSIGN_OR_RETURN(std::string driver,
                        CompileDriver(program, driver_options, options.target, CodeForm::kObject));
  objects.push_back(std::move(driver));
  return objects;
}

}  // namespace

StatusOr<std::string> EmitLibrary(const Program& program, const ObjectOptions& options,
                                  const std::string& soname) {
  KILN_ASSIGN_OR_RETURN(const std::vector<std::string> objects, AllObjects(program, options));
  return LinkSharedLibrary(objects, soname, options.target);
}

StatusOr<std::string> EmitObject(const Program& program, const ObjectOptions& options) {
  KILN_ASSIGN_OR_RETURN(const std::vector<std::string> objects, AllObjects(program, options));
  return LinkRelocatable(objects);
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
