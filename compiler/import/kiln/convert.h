// Between modules and the messages of proto/kiln.proto.
#pragma once

#include <memory>

#include "ir/graph/graph.h"
#include "ir/graph/side_file.h"
#include "ir/support/status.h"
#include "proto/kiln.pb.h"

namespace kiln {

/// Adds the module to `model`. With `inline_all` every known tensor stands in the message,
/// otherwise only those that the text form holds inline.
void ModuleToProto(const Module& module, bool inline_all, native::Model* model);

/// Checks everything that the message says.
StatusOr<std::unique_ptr<Module>> ModuleFromProto(const native::Model& model,
                                                  const SideFile* side_file);

}  // namespace kiln
