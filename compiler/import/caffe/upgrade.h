// Layers of Caffe's V1 schema (2014) as current ones.
#pragma once

#include "ir/support/status.h"
#include "proto/caffe.pb.h"

namespace kiln::caffe_import {

/// Turns all of `layers` into `layer`. An error for layers of the still older V0 schema.
Status UpgradeLayers(caffe::NetParameter* net);

}  // namespace kiln::caffe_import
