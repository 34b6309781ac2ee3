#include "compiler/import/caffe/caffe_import.h"

#include <set>

#include "compiler/import/caffe/layer_table.h"
#include "compiler/import/caffe/net.h"
#include "compiler/import/caffe/net_importer.h"
#include "compiler/import/foreign/problems.h"
#include "compiler/import/foreign/values.h"
#include "compiler/import/protobuf.h"
#include "ir/support/file.h"

namespace kiln {

namespace {

using caffe::NetParameter;
using caffe_import::Weights;

Status CheckNet(std::span<const char> bytes) {
  if (!caffe_import::LooksLikeSolver(bytes)) return OkStatus();
  return InvalidInput("is a solver, not a net; train with `kiln train NET --solver FILE`");
}

Status CheckWeights(std::span<const char> bytes) {
  constexpr std::string_view kHdf5 = "\x89HDF";
  if (std::string_view(bytes.data(), bytes.size()).starts_with(kHdf5)) {
    return Unsupported("weights in HDF5 are not supported, only .caffemodel");
  }
  return OkStatus();
}

StatusOr<Weights> ReadWeights(std::span<const char> bytes) {
  KILN_RETURN_IF_ERROR(CheckWeights(bytes));
  std::vector<std::string> unknown;  // nothing but blobs matters here
  KILN_ASSIGN_OR_RETURN(NetParameter net, caffe_import::ReadNet(bytes, &unknown));
  return caffe_import::TakeWeights(&net);
}

StatusOr<std::unique_ptr<Module>> Import(NetParameter net, const std::vector<std::string>& unknown,
                                         Weights weights, const ImportOptions& options) {
  caffe_import::FilterByPhase(&net, options.training ? caffe::TRAIN : caffe::TEST);
  KILN_RETURN_IF_ERROR(caffe_import::Preflight(net, unknown));
  auto module = std::make_unique<Module>();
  Graph* const graph = module->AddFunction("forward");
  caffe_import::NetImporter importer(graph, options, std::move(weights));
  KILN_RETURN_IF_ERROR(importer.Import(net));
  foreign::EraseUnused(graph);
  if (!net.name().empty()) module->name = net.name();
  module->metadata["format"] = "caffe";
  return module;
}

}  // namespace

bool DetectCaffe(std::span<const char> bytes) {
  return caffe_import::LooksLikeNet(bytes) || caffe_import::LooksLikeSolver(bytes);
}

std::vector<ImportableOp> CaffeOperators() {
  std::vector<ImportableOp> operators;
  for (const caffe_import::CaffeLayer* const layer : caffe_import::AllCaffeLayers()) {
    if (layer->handler != nullptr) operators.push_back({layer->name, "", layer->limits});
  }
  return operators;
}

StatusOr<std::unique_ptr<Module>> ImportCaffe(std::span<const char> net,
                                              std::span<const char> weights,
                                              const ImportOptions& options) {
  KILN_RETURN_IF_ERROR(CheckNet(net));
  std::vector<std::string> unknown;
  KILN_ASSIGN_OR_RETURN(NetParameter proto, caffe_import::ReadNet(net, &unknown));
  KILN_ASSIGN_OR_RETURN(Weights blobs, caffe_import::TakeWeights(&proto));
  if (!weights.empty()) {
    KILN_ASSIGN_OR_RETURN(Weights more, ReadWeights(weights));
    blobs.merge(more);
  }
  return Import(std::move(proto), unknown, std::move(blobs), options);
}

StatusOr<std::unique_ptr<Module>> ImportCaffeFiles(const std::vector<std::string>& paths,
                                                   const ImportOptions& options) {
  // The net is the text, if one is and the other is not.
  size_t net_at = 0;
  std::vector<std::shared_ptr<const MappedFile>> files;
  for (const std::string& path : paths) {
    KILN_ASSIGN_OR_RETURN(auto file, MappedFile::Open(path));
    files.push_back(std::move(file));
  }
  const auto is_text = [&](size_t i) { return !TopFieldsOfText(files[i]->bytes()).empty(); };
  if (files.size() == 2 && is_text(1) && !is_text(0)) net_at = 1;
  Weights weights;
  if (files.size() == 2) {
    const size_t weights_at = 1 - net_at;
    auto read = ReadWeights(files[weights_at]->bytes());
    if (!read.ok()) return foreign::InEveryLine(paths[weights_at], read.status());
    weights = *std::move(read);
  }
  const std::string& path = paths[net_at];
  const auto import = [&]() -> StatusOr<std::unique_ptr<Module>> {
    KILN_RETURN_IF_ERROR(CheckNet(files[net_at]->bytes()));
    std::vector<std::string> unknown;
    KILN_ASSIGN_OR_RETURN(NetParameter net,
                          caffe_import::ReadNet(files[net_at]->bytes(), &unknown));
    KILN_ASSIGN_OR_RETURN(Weights own, caffe_import::TakeWeights(&net));
    weights.merge(own);
    return Import(std::move(net), unknown, std::move(weights), options);
  };
  auto module = import();
  if (module.ok()) return module;
  return foreign::InEveryLine(path, module.status());
}

}  // namespace kiln
