#include "compiler/import/caffe/layer_table.h"

#include <map>

namespace kiln::caffe_import {

namespace {

using LayerTable = std::map<std::string, CaffeLayer, std::less<>>;

const LayerTable& Table() {
  static const LayerTable* const table = [] {
    auto* layers = new LayerTable;
    for (const auto family :
         {DataLayers, ContractionLayers, PoolingLayers, ElementwiseLayers, NormalizationLayers,
          ShapeLayers, ReductionLayers, LossLayers, RecurrentLayers}) {
      for (CaffeLayer& layer : family()) {
        std::string name = layer.name;
        layers->emplace(std::move(name), std::move(layer));
      }
    }
    return layers;
  }();
  return *table;
}

}  // namespace

const CaffeLayer* FindCaffeLayer(std::string_view name) {
  const auto it = Table().find(name);
  return it == Table().end() ? nullptr : &it->second;
}

const std::vector<const CaffeLayer*>& AllCaffeLayers() {
  static const auto* const all = [] {
    auto* layers = new std::vector<const CaffeLayer*>;
    for (const auto& [name, layer] : Table()) layers->push_back(&layer);
    return layers;
  }();
  return *all;
}

}  // namespace kiln::caffe_import
