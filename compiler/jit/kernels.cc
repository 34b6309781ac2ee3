// Compiling a program's kernels to object files, in parallel and through the cache.
#include <xxhash.h>

#include "compiler/codegen/codegen.h"
#include "compiler/codegen/target_info.h"
#include "compiler/jit/jit.h"
#include "ir/support/parallel.h"

namespace kiln {

namespace {

std::string KernelSymbol(const std::string& text, const Target& target) {
  const std::string key = text + "\n" + target.Key();
  std::string symbol = "kiln_k";
  static constexpr char kHex[] = "0123456789abcdef";
  const uint64_t hash = XXH3_64bits(key.data(), key.size());
  for (int shift = 60; shift >= 0; shift -= 4) symbol += kHex[(hash >> shift) & 15];
  return symbol;
}

StatusOr<KernelObject> CompileOne(const loop::Kernel& kernel, const ObjectOptions& options) {
  const std::string text = loop::ToString(kernel);
  KernelObject object;
  object.symbol = KernelSymbol(text, options.target);
  const std::string key = StrCat("kiln ", KILN_VERSION, " code ", kCodeRevision, " llvm ",
                                 LlvmVersion(), "\n", options.target.Key(), "\n", text);
  if (options.cache != nullptr) {
    if (auto found = options.cache->Find(key)) {
      object.bytes = std::move(*found);
      return object;
    }
  }
  KILN_ASSIGN_OR_RETURN(object.bytes,
                        CompileKernel(kernel, object.symbol, options.target, CodeForm::kObject));
  if (options.cache != nullptr) options.cache->Insert(key, object.bytes);
  return object;
}

}  // namespace

StatusOr<std::vector<KernelObject>> CompileKernels(const Program& program,
                                                   const ObjectOptions& options) {
  const size_t count = program.kernels.size();
  std::vector<StatusOr<KernelObject>> results(count, InternalError("kernel not compiled"));
  ParallelTasks(static_cast<int64_t>(count), options.threads, [&](int64_t task) {
    const auto i = static_cast<size_t>(task);
    results[i] = CompileOne(program.kernels[i], options);
  });
  std::vector<KernelObject> objects;
  for (size_t i = 0; i < count; ++i) {
    if (!results[i].ok()) return Annotate(results[i].status(), program.kernels[i].name);
    objects.push_back(std::move(*results[i]));
  }
  return objects;
}

}  // namespace kiln
