// Writes trained weights as Caffe does: a .caffemodel, which goes with the .prototxt that the
// module was imported from.
#pragma once

#include <string>

#include "ir/graph/graph.h"
#include "ir/support/status.h"

namespace kiln {

/// A serialised NetParameter that holds, for each layer, its name and its blobs in Caffe's order;
/// statistics of BatchNorm with a divisor of 1. The layer's name and the blob's are those of the
/// parameter ("LAYER.weight"), as the import made it. An error names every parameter that has no
/// value, is no blob of a layer, or is not f32.
StatusOr<std::string> SerializeCaffeModel(const Module& module);

}  // namespace kiln
