#include <map>

#include "compiler/export/onnx/node_writer.h"

namespace kiln::onnx_export {

const std::vector<OpWriter>& AllOpWriters() {
  static const auto* const all = [] {
    auto* writers = new std::vector<OpWriter>;
    for (const auto family : {ElementwiseWriters, MovementWriters, ReductionWriters,
                              ContractionWriters, WindowWriters, NormalizationWriters}) {
      for (OpWriter& writer : family()) writers->push_back(std::move(writer));
    }
    return writers;
  }();
  return *all;
}

const OpWriter* FindOpWriter(std::string_view kind) {
  static const auto* const table = [] {
    auto* map = new std::map<std::string, const OpWriter*, std::less<>>;
    for (const OpWriter& writer : AllOpWriters()) map->emplace(writer.kind, &writer);
    return map;
  }();
  const auto it = table->find(kind);
  return it == table->end() ? nullptr : it->second;
}

}  // namespace kiln::onnx_export
