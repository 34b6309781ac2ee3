// Caffe's fillers: how a net's blobs start.
#pragma once

#include <cstdint>
#include <string>

#include "ir/graph/tensor.h"
#include "ir/support/status.h"
#include "proto/caffe.pb.h"

namespace kiln::caffe_import {

/// Checks that the filler exists.
Status CheckFiller(const caffe::FillerParameter& filler);

/// A f32 tensor filled by Caffe's definition (caffe/filler.hpp): constant, uniform, gaussian
/// (sparse too), positive_unitball, xavier, msra, bilinear. Pseudo-random numbers come from `seed`
/// and `name`, so that tensors differ and every run is alike.
StatusOr<Tensor> Fill(const caffe::FillerParameter& filler, const Shape& shape, uint64_t seed,
                      const std::string& name);

}  // namespace kiln::caffe_import
