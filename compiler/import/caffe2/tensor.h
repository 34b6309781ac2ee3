// Caffe2's element types.
#pragma once

#include <string>

#include "ir/graph/type.h"
#include "ir/support/status.h"

namespace kiln::caffe2_import {

/// The element type of a TensorProto data type; Unsupported for strings.
StatusOr<ElementType> ToElementType(int64_t data_type);
/// The same by name, in any case: "float", "INT64", ...
StatusOr<ElementType> ToElementType(const std::string& name);

}  // namespace kiln::caffe2_import
