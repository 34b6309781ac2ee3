#include "compiler/import/onnx/onnx_import.h"

#include <set>

#include "compiler/import/external_file.h"
#include "compiler/import/foreign/values.h"
#include "compiler/import/onnx/graph_importer.h"
#include "compiler/import/onnx/model.h"
#include "compiler/import/onnx/op_table.h"
#include "compiler/import/onnx/preflight.h"
#include "compiler/import/protobuf.h"
#include "ir/support/file.h"

namespace kiln {

namespace {

using onnx::ModelProto;

void SetMetadata(Module* module, const ModelProto& model, const std::set<std::string>& inputs) {
  if (!model.graph().name().empty()) module->name = model.graph().name();
  module->metadata["format"] = "onnx";
  if (!model.producer_name().empty()) module->metadata["producer"] = model.producer_name();
  if (!inputs.empty()) module->metadata["specialised"] = StrJoin(inputs, ",");
}

}  // namespace

bool DetectOnnx(std::span<const char> bytes) {
  // ModelProto: ir_version (1) and model_version (5) are numbers, 2, 3, 4 and 6 strings, 7 the
  // graph, 8 the opsets. No other protobuf model format begins with fields of these types.
  bool found = false;
  for (int i = 0; i < 16 && !bytes.empty(); ++i) {
    std::span<const char> rest = bytes;
    WireField field;
    if (!NextWireField(&rest, &field)) {
      // Cut short inside a field: look at its tag alone.
      return found || bytes[0] == 0x08 || bytes[0] == 0x3a;
    }
    const bool number = field.number == 1 || field.number == 5;
    const bool known = field.number <= 8 || field.number == 14 || field.number == 20 ||
                       field.number == 25 || field.number == 26;
    if (!known || field.wire_type != (number ? 0 : 2)) return false;
    found |= field.number == 1 || field.number == 7 || field.number == 8;
    bytes = rest;
  }
  return found;
}

std::vector<ImportableOp> OnnxOperators() {
  std::vector<ImportableOp> operators;
  for (const onnx_import::OnnxOp* const op : onnx_import::AllOnnxOps()) {
    operators.push_back({op->name, StrCat(op->first, " to ", op->last), op->limits});
  }
  return operators;
}

namespace {

StatusOr<std::unique_ptr<Module>> ImportParsed(ModelProto model,
                                               onnx_import::ExternalData external_data,
                                               const ImportOptions& options) {
  if (!model.has_graph()) return InvalidInput("the model has no graph");
  KILN_ASSIGN_OR_RETURN(onnx_import::Opsets opsets, onnx_import::ReadOpsets(model.opset_import()));
  // Operator sets came with IR version 3.
  if (opsets.empty() && model.ir_version() < 3) opsets[""] = 1;
  KILN_ASSIGN_OR_RETURN(const auto functions, onnx_import::ReadFunctions(model));
  KILN_RETURN_IF_ERROR(onnx_import::Preflight(model, opsets, functions));
  auto module = std::make_unique<Module>();
  Graph* const graph = module->AddFunction("forward");
  onnx_import::GraphImporter importer(graph, options, functions, std::move(external_data));
  KILN_RETURN_IF_ERROR(importer.Import(model.mutable_graph(), opsets));
  foreign::EraseUnused(graph);
  SetMetadata(module.get(), model, importer.used_inputs());
  return module;
}

StatusOr<std::unique_ptr<Module>> ImportMapped(std::shared_ptr<const MappedFile> file,
                                               const std::string& folder,
                                               const ImportOptions& options) {
  onnx_import::RawData raw_data(std::move(file));
  ModelProto model;
  {
    KILN_ASSIGN_OR_RETURN(const std::string bytes, onnx_import::CutOutRawData(raw_data));
    KILN_RETURN_IF_ERROR(ParseProtobuf(bytes, &model));
  }
  return ImportParsed(std::move(model), onnx_import::ExternalData(folder, std::move(raw_data)),
                      options);
}

}  // namespace

StatusOr<std::unique_ptr<Module>> ImportOnnx(ModelProto model, const std::string& folder,
                                             const ImportOptions& options) {
  return ImportParsed(std::move(model), onnx_import::ExternalData(folder), options);
}

StatusOr<std::unique_ptr<Module>> ImportOnnxFile(const std::string& path,
                                                 const ImportOptions& options) {
  KILN_ASSIGN_OR_RETURN(auto file, MappedFile::Open(path));
  auto module = ImportMapped(std::move(file), FolderOf(path), options);
  if (module.ok()) return module;
  return foreign::InEveryLine(path, module.status());
}

}  // namespace kiln
