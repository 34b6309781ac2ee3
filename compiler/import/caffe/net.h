// Reading Caffe networks: text or binary, brought to the current schema, filtered by phase.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "ir/graph/tensor.h"
#include "ir/support/status.h"
#include "proto/caffe.pb.h"

namespace kiln::caffe_import {

/// Reads a NetParameter, in text or binary form. Layers of the older schema (V1) become current
/// ones, and net-level inputs become an Input layer, so `layer` alone describes the net. `unknown`
/// gets a line for each field that the schema does not have (text only).
StatusOr<caffe::NetParameter> ReadNet(std::span<const char> bytes,
                                      std::vector<std::string>* unknown);

/// Whether `bytes` look like a NetParameter, in either form.
bool LooksLikeNet(std::span<const char> bytes);
/// Whether they look like a solver's text form.
bool LooksLikeSolver(std::span<const char> bytes);

/// Removes the layers that the net's include and exclude rules leave out in this phase.
void FilterByPhase(caffe::NetParameter* net, caffe::Phase phase);

/// The learned blobs of a net by the layers' names, in the layers' order. Takes the data out of
/// `net`. Errors name the layer.
using Weights = std::map<std::string, std::vector<Tensor>>;
StatusOr<Weights> TakeWeights(caffe::NetParameter* net);

}  // namespace kiln::caffe_import
