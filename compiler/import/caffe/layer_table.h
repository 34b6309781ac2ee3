// The table of Caffe layers: for each type how many blobs it takes and gives, and the function that
// expresses it in Kiln's ops. `kiln ops --format caffe` prints it.
//
// One file of layers/ per family; the families are listed in layer_table.cc. (No static
// registration: linkers drop it.)
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "compiler/import/foreign/problems.h"
#include "ir/support/status.h"

namespace kiln::caffe_import {

using namespace foreign;  // what all readers share

class Layer;

struct CaffeLayer {
  std::string name;
  /// Builds the layer's tops. Preflight has checked the number of bottoms and tops; all else is the
  /// handler's to check. Null: known, and refused for the reason in `limits`.
  Status (*handler)(Layer& layer) = nullptr;
  /// The Kiln op that a handler shared by several layers builds.
  std::string kind;
  Arity bottoms = {1, 1};
  Arity tops = {1, 1};
  std::string limits;  ///< what is not supported, for the printed table
};

/// nullptr when there is no such layer.
const CaffeLayer* FindCaffeLayer(std::string_view name);
/// By name.
const std::vector<const CaffeLayer*>& AllCaffeLayers();

// The families.
std::vector<CaffeLayer> DataLayers();           // layers/data.cc: Input, Data, DummyData, ...
std::vector<CaffeLayer> ContractionLayers();    // layers/contraction.cc: Convolution, Embed, ...
std::vector<CaffeLayer> PoolingLayers();        // layers/pooling.cc: Pooling, SPP
std::vector<CaffeLayer> ElementwiseLayers();    // layers/elementwise.cc: ReLU, Power, Eltwise, ...
std::vector<CaffeLayer> NormalizationLayers();  // layers/normalization.cc: LRN, BatchNorm, MVN, ...
std::vector<CaffeLayer> ShapeLayers();          // layers/shape.cc: Concat, Slice, Reshape, ...
std::vector<CaffeLayer> ReductionLayers();      // layers/reduction.cc: Reduction, ArgMax, Accuracy
std::vector<CaffeLayer> LossLayers();           // layers/loss.cc
std::vector<CaffeLayer> RecurrentLayers();      // layers/recurrent.cc: RNN, LSTM

}  // namespace kiln::caffe_import
