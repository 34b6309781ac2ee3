#include "compiler/import/pytorch/pytorch_import.h"

#include <string_view>

#include "compiler/import/foreign/problems.h"
#include "compiler/import/pytorch/archive.h"
#include "compiler/import/pytorch/op_table.h"
#include "compiler/import/pytorch/program.h"
#include "compiler/import/pytorch/program_importer.h"
#include "ir/support/file.h"

namespace kiln {

bool DetectPytorch(std::span<const char> bytes) {
  return std::string_view(bytes.data(), bytes.size()).starts_with("PK\x03\x04");
}

std::vector<ImportableOp> PytorchOperators() {
  std::vector<ImportableOp> operators;
  for (const pytorch_import::PytorchOp* const op : pytorch_import::AllPytorchOps()) {
    operators.push_back({op->name, "", op->limits});
  }
  return operators;
}

StatusOr<std::unique_ptr<Module>> ImportPytorch(const pytorch_import::Archive& archive,
                                                const ImportOptions& options) {
  KILN_ASSIGN_OR_RETURN(const auto program, pytorch_import::ReadProgram(archive.program));
  KILN_RETURN_IF_ERROR(pytorch_import::Preflight(program));
  auto module = std::make_unique<Module>();
  Graph* const graph = module->AddFunction("forward");
  pytorch_import::ProgramImporter importer(graph, options, program, archive);
  KILN_RETURN_IF_ERROR(importer.Import());
  foreign::EraseUnused(graph);
  module->metadata["format"] = "pytorch";
  return module;
}

StatusOr<std::unique_ptr<Module>> ImportPytorch(std::span<const char> bytes,
                                                const ImportOptions& options) {
  KILN_ASSIGN_OR_RETURN(const pytorch_import::Archive archive, pytorch_import::ReadArchive(bytes));
  return ImportPytorch(archive, options);
}

StatusOr<std::unique_ptr<Module>> ImportPytorchFiles(const std::vector<std::string>& paths,
                                                     const ImportOptions& options) {
  KILN_ASSIGN_OR_RETURN(const auto file, MappedFile::Open(paths[0]));
  auto module = ImportPytorch(file->bytes(), options);
  if (module.ok()) return module;
  return foreign::InEveryLine(paths[0], module.status());
}

}  // namespace kiln
