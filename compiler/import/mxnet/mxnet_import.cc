#include "compiler/import/mxnet/mxnet_import.h"

#include "compiler/import/foreign/problems.h"
#include "compiler/import/mxnet/op_table.h"
#include "compiler/import/mxnet/symbol_importer.h"
#include "ir/support/file.h"

namespace kiln {

namespace {

using mxnet_import::Arrays;

StatusOr<std::unique_ptr<Module>> Import(std::span<const char> bytes, Arrays arrays,
                                         const ImportOptions& options) {
  KILN_ASSIGN_OR_RETURN(const mxnet_import::Symbol symbol, mxnet_import::ReadSymbol(bytes));
  KILN_RETURN_IF_ERROR(mxnet_import::Preflight(symbol));
  auto module = std::make_unique<Module>();
  Graph* const graph = module->AddFunction("forward");
  mxnet_import::SymbolImporter importer(graph, options, symbol, std::move(arrays));
  KILN_RETURN_IF_ERROR(importer.Import());
  foreign::EraseUnused(graph);
  module->metadata["format"] = "mxnet";
  return module;
}

}  // namespace

bool DetectMxnet(std::span<const char> bytes) {
  return mxnet_import::LooksLikeParams(bytes) || mxnet_import::LooksLikeSymbol(bytes);
}

std::vector<ImportableOp> MxnetOperators() {
  std::vector<ImportableOp> operators;
  for (const mxnet_import::MxnetOp* const op : mxnet_import::AllMxnetOps()) {
    operators.push_back({op->name, "", op->limits});
  }
  return operators;
}

StatusOr<std::unique_ptr<Module>> ImportMxnet(std::span<const char> symbol,
                                              std::span<const char> params,
                                              const ImportOptions& options) {
  Arrays arrays;
  if (!params.empty()) {
    // The tensors outlive the caller's bytes.
    auto copy = std::make_shared<std::vector<char>>(params.begin(), params.end());
    KILN_ASSIGN_OR_RETURN(arrays, mxnet_import::ReadParams(*copy, copy));
  }
  return Import(symbol, std::move(arrays), options);
}

StatusOr<std::unique_ptr<Module>> ImportMxnetFiles(const std::vector<std::string>& paths,
                                                   const ImportOptions& options) {
  Arrays arrays;
  std::shared_ptr<const MappedFile> symbol;
  std::string symbol_path;
  for (const std::string& path : paths) {
    KILN_ASSIGN_OR_RETURN(const auto file, MappedFile::Open(path));
    if (!mxnet_import::LooksLikeParams(file->bytes())) {
      if (symbol != nullptr) return InvalidInput(path, ": is no .params file");
      symbol = file;
      symbol_path = path;
      continue;
    }
    auto read = mxnet_import::ReadParams(file->bytes(), file);
    if (!read.ok()) return foreign::InEveryLine(path, read.status());
    arrays = *std::move(read);
  }
  if (symbol == nullptr) {
    return InvalidInput(paths[0],
                        ": holds arrays only; give the symbol too: "
                        "NAME-symbol.json,NAME-0000.params");
  }
  auto module = Import(symbol->bytes(), std::move(arrays), options);
  if (module.ok()) return module;
  return foreign::InEveryLine(symbol_path, module.status());
}

}  // namespace kiln
