#include "compiler/import/tensorflow/tensorflow_import.h"

#include <filesystem>
#include <set>

#include "compiler/import/external_file.h"
#include "compiler/import/foreign/problems.h"
#include "compiler/import/foreign/values.h"
#include "compiler/import/protobuf.h"
#include "compiler/import/tensorflow/checkpoint.h"
#include "compiler/import/tensorflow/graph.h"
#include "compiler/import/tensorflow/graph_importer.h"
#include "compiler/import/tensorflow/op_table.h"
#include "ir/support/file.h"
#include "proto/tensorflow.pb.h"

namespace kiln {

namespace {

using tensorflow::GraphDef;
using tensorflow_import::FlatGraph;
using tensorflow_import::NamedOutput;
using tensorflow_import::Variables;

StatusOr<GraphDef> ReadGraph(std::span<const char> bytes) {
  GraphDef graph;
  if (TopFieldsOfText(bytes).empty()) {
    KILN_RETURN_IF_ERROR(ParseProtobuf(bytes, &graph));
    return graph;
  }
  std::vector<std::string> unknown;
  KILN_RETURN_IF_ERROR(ParseProtobufText(bytes, &graph, &unknown));
  foreign::ProblemList problems;
  for (const std::string& field : unknown) {
    problems.Add("", Unsupported(foreign::Printable(field)));
  }
  KILN_RETURN_IF_ERROR(problems.ToStatus());
  return graph;
}

StatusOr<std::unique_ptr<Module>> Import(const FlatGraph& graph,
                                         const std::vector<NamedOutput>& outputs,
                                         const Variables& variables,
                                         std::map<std::string, std::string> input_names,
                                         const ImportOptions& options) {
  auto module = std::make_unique<Module>();
  Graph* const forward = module->AddFunction("forward");
  tensorflow_import::GraphImporter importer(forward, options, graph, variables,
                                            std::move(input_names));
  KILN_RETURN_IF_ERROR(importer.Import(outputs));
  foreign::EraseUnused(forward);
  module->metadata["format"] = "tensorflow";
  const std::set<std::string>& used = importer.values().used_inputs();
  if (!used.empty()) module->metadata["specialised"] = StrJoin(used, ",");
  return module;
}

StatusOr<std::unique_ptr<Module>> ImportGraph(std::span<const char> bytes,
                                              const ImportOptions& options) {
  KILN_ASSIGN_OR_RETURN(const GraphDef proto, ReadGraph(bytes));
  KILN_ASSIGN_OR_RETURN(const FlatGraph graph, FlatGraph::Make(proto));
  std::vector<NamedOutput> outputs;
  for (const auto& leaf : graph.Leaves()) outputs.push_back({leaf.ToString(), leaf});
  if (outputs.empty()) return InvalidInput("the graph has no outputs");
  return Import(graph, outputs, {}, {}, options);
}

bool IsSavedModel(std::span<const char> bytes) {
  return LooksLike(tensorflow::SavedModel::descriptor(), bytes);
}

// The graph that serves: the one tagged so, or the first.
const tensorflow::MetaGraphDef* FindMetaGraph(const tensorflow::SavedModel& model) {
  for (const auto& graph : model.meta_graphs()) {
    for (const std::string& tag : graph.meta_info_def().tags()) {
      if (tag == "serve") return &graph;
    }
  }
  return model.meta_graphs_size() > 0 ? &model.meta_graphs(0) : nullptr;
}

// "serving_default", or the only one that has outputs.
StatusOr<const tensorflow::SignatureDef*> FindSignature(const tensorflow::MetaGraphDef& graph) {
  const auto& signatures = graph.signature_def();
  if (const auto it = signatures.find("serving_default"); it != signatures.end()) {
    return &it->second;
  }
  const tensorflow::SignatureDef* found = nullptr;
  std::set<std::string> names;
  for (const auto& [name, signature] : signatures) {
    if (signature.outputs().empty() || name.starts_with("__saved_model_init")) continue;
    found = &signature;
    names.insert(foreign::Printable(name));
  }
  if (names.size() == 1) return found;
  return Unsupported("the SavedModel has no signature 'serving_default', but ",
                     names.empty() ? "none" : StrJoin(names, ", "));
}

StatusOr<std::unique_ptr<Module>> ImportSavedModel(std::span<const char> bytes,
                                                   const std::string& folder,
                                                   const ImportOptions& options) {
  tensorflow::SavedModel model;
  KILN_RETURN_IF_ERROR(ParseProtobuf(bytes, &model));
  const tensorflow::MetaGraphDef* const meta = FindMetaGraph(model);
  if (meta == nullptr) return InvalidInput("the SavedModel has no graph");
  KILN_ASSIGN_OR_RETURN(const auto* const signature, FindSignature(*meta));
  KILN_ASSIGN_OR_RETURN(const FlatGraph graph, FlatGraph::Make(meta->graph_def()));
  std::map<std::string, std::string> input_names;
  for (const auto& [name, info] : signature->inputs()) {
    input_names[tensorflow_import::ParseReference(info.name()).node] = name;
  }
  std::map<std::string, std::string> sorted;  // a protobuf map has no order
  for (const auto& [name, info] : signature->outputs()) sorted[name] = info.name();
  std::vector<NamedOutput> outputs;
  for (const auto& [name, value] : sorted) {
    outputs.push_back({name, tensorflow_import::ParseReference(value)});
  }
  Variables variables;
  const std::string prefix = folder + "/variables/variables";
  std::error_code error;
  if (!folder.empty() && std::filesystem::exists(prefix + ".index", error)) {
    KILN_ASSIGN_OR_RETURN(variables, tensorflow_import::ReadCheckpoint(prefix));
  }
  return Import(graph, outputs, variables, std::move(input_names), options);
}

}  // namespace

bool DetectTensorflow(std::span<const char> bytes) {
  const std::set<std::string> names = TopFieldsOfText(bytes);
  if (names.empty()) return LooksLike(GraphDef::descriptor(), bytes) || IsSavedModel(bytes);
  return names.contains("node");
}

std::vector<ImportableOp> TensorflowOperators() {
  std::vector<ImportableOp> operators;
  for (const tensorflow_import::TensorflowOp* const op : tensorflow_import::AllTensorflowOps()) {
    operators.push_back({op->name, "", op->limits});
  }
  return operators;
}

StatusOr<std::unique_ptr<Module>> ImportTensorflow(std::span<const char> bytes,
                                                   const std::string& folder,
                                                   const ImportOptions& options) {
  return IsSavedModel(bytes) ? ImportSavedModel(bytes, folder, options)
                             : ImportGraph(bytes, options);
}

StatusOr<std::unique_ptr<Module>> ImportTensorflowFiles(const std::vector<std::string>& paths,
                                                        const ImportOptions& options) {
  KILN_ASSIGN_OR_RETURN(const auto file, MappedFile::Open(paths[0]));
  auto module = ImportTensorflow(file->bytes(), FolderOf(paths[0]), options);
  if (module.ok()) return module;
  return foreign::InEveryLine(paths[0], module.status());
}

}  // namespace kiln
