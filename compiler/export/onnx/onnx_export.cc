#include "compiler/export/onnx/onnx_export.h"

#include <algorithm>
#include <filesystem>

#include "compiler/export/onnx/graph_writer.h"
#include "compiler/import/foreign/problems.h"
#include "ir/graph/builder.h"
#include "ir/graph/op_def.h"
#include "ir/support/file.h"

namespace kiln {

namespace {

using onnx_export::FindOpWriter;

constexpr int64_t kOpset = 19;
constexpr int64_t kIrVersion = 9;  // of ONNX 1.14, which brought opset 19
constexpr uint64_t kMaxMessageBytes = uint64_t{1} << 31;
constexpr uint64_t kMaxInlineBytes = kMaxMessageBytes - (uint64_t{64} << 20);
// So small a tensor stays in the message even where others lie beside it.
constexpr size_t kMinExternalBytes = 1024;
constexpr uint64_t kAlignment = 4096;

// Replaces composites that have no writer by what they are made of.
Status DecomposeRest(Graph& function) {
  bool again = true;
  while (again) {
    again = false;
    for (Op* const op : function.Snapshot()) {
      if (FindOpWriter(op->kind()) != nullptr || !op->def().decompose) continue;
      Builder builder(&function, op);
      builder.SetSources(op->sources());
      KILN_ASSIGN_OR_RETURN(Op* const value, op->def().decompose(builder, *op));
      function.ReplaceAllUses(op, value);
      function.Erase(op);
      again = true;
    }
  }
  return OkStatus();
}

Status CheckOps(const Graph& function) {
  foreign::ProblemList problems;
  for (const auto& op : function.ops()) {
    const std::string& name = op->sources().empty() ? op->name() : op->sources()[0];
    if (!op->type().layout.IsRowMajor()) {
      problems.Add(name, Unsupported("ONNX has no layout ", op->type().layout.ToString()));
    } else if (op->Is("parameter")) {
      const Parameter* const parameter = function.module()->FindParameter(op->String("name"));
      if (!parameter->value.known()) {
        problems.Add(name,
                     InvalidInput("the value of parameter '", parameter->name, "' is not known"));
      }
    } else if (!op->Is("input") && !op->Is("constant") && FindOpWriter(op->kind()) == nullptr) {
      problems.Add(name, Unsupported("ONNX has no operator for ", op->kind()));
    }
  }
  for (const Graph::Output& output : function.outputs()) {
    if (output.update) problems.Add("", Unsupported("ONNX has no updates of parameters"));
  }
  return problems.ToStatus();
}

uint64_t TensorBytes(const onnx::ModelProto& model) {
  uint64_t bytes = 0;
  for (const auto& tensor : model.graph().initializer()) bytes += tensor.raw_data().size();
  return bytes;
}

void AddEntry(onnx::TensorProto& tensor, const char* key, const std::string& value) {
  onnx::StringStringEntryProto& entry = *tensor.add_external_data();
  entry.set_key(key);
  entry.set_value(value);
}

// Moves the large tensors' bytes to the file `path`.
Status MoveOut(onnx::ModelProto& model, const std::string& path) {
  std::vector<std::string> owned;
  owned.reserve(static_cast<size_t>(2 * model.graph().initializer_size()));
  uint64_t offset = 0;
  for (onnx::TensorProto& tensor : *model.mutable_graph()->mutable_initializer()) {
    if (tensor.raw_data().size() < kMinExternalBytes) continue;
    owned.emplace_back((kAlignment - offset % kAlignment) % kAlignment, '\0');
    offset += owned.back().size();
    owned.push_back(std::move(*tensor.mutable_raw_data()));
    tensor.clear_raw_data();
    tensor.set_data_location(onnx::TensorProto::EXTERNAL);
    AddEntry(tensor, "location", std::filesystem::path(path).filename().string());
    AddEntry(tensor, "offset", StrCat(offset));
    AddEntry(tensor, "length", StrCat(uint64_t{owned.back().size()}));
    offset += owned.back().size();
  }
  return WriteFileAtomically(path, {owned.begin(), owned.end()});
}

}  // namespace

StatusOr<onnx::ModelProto> ExportOnnx(const Module& module, const OnnxExportOptions& options) {
  const Graph* const original = module.FindFunction(options.function);
  if (original == nullptr) return InvalidInput("there is no function @", options.function);
  const std::unique_ptr<Module> copy = module.Clone();
  Graph& function = *copy->FindFunction(options.function);
  function.EraseDeadOps();
  KILN_RETURN_IF_ERROR(DecomposeRest(function));
  KILN_RETURN_IF_ERROR(CheckOps(function));
  onnx::ModelProto model;
  model.set_ir_version(kIrVersion);
  model.set_producer_name("kiln");
  model.set_producer_version(KILN_VERSION);
  onnx::OperatorSetIdProto& opset = *model.add_opset_import();
  opset.set_domain("");
  opset.set_version(kOpset);
  model.mutable_graph()->set_name(module.name);
  KILN_RETURN_IF_ERROR(onnx_export::GraphWriter(function, options, *model.mutable_graph()).Write());
  return model;
}

Status SaveOnnx(const Module& module, const std::string& path, const OnnxExportOptions& options) {
  StatusOr<onnx::ModelProto> model = ExportOnnx(module, options);
  KILN_RETURN_IF_ERROR(Annotate(model.status(), path));
  if (TensorBytes(*model) > kMaxInlineBytes) {
    KILN_RETURN_IF_ERROR(MoveOut(*model, path + ".data"));
  }
  std::string bytes;
  if (model->ByteSizeLong() >= kMaxMessageBytes || !model->SerializeToString(&bytes)) {
    return Unsupported(path, ": the model is larger than the 2 GiB of a message");
  }
  return WriteFileAtomically(path, {bytes});
}

std::vector<std::string> ExportableOps() {
  std::vector<std::string> kinds;
  for (const auto& writer : onnx_export::AllOpWriters()) kinds.push_back(writer.kind);
  std::ranges::sort(kinds);
  return kinds;
}

}  // namespace kiln
