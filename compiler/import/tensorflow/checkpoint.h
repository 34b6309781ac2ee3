// TensorFlow's checkpoints ("tensor bundles"): an index, which is a sorted table of entries by
// name, and the data of all tensors in one or more shards beside it.
#pragma once

#include <map>
#include <span>
#include <string>

#include "ir/graph/tensor.h"
#include "ir/support/status.h"

namespace kiln::tensorflow_import {

/// The entries of a sorted table (the format of LevelDB's .ldb files, uncompressed blocks only).
StatusOr<std::map<std::string, std::string>> ReadSortedTable(std::span<const char> bytes);

/// The tensors of the checkpoint whose index is the file PREFIX.index, by the names that a graph's
/// variables have. The tensors share the mapped shards. Strings and what is partitioned are left
/// out. Errors start with the path.
StatusOr<std::map<std::string, Tensor>> ReadCheckpoint(const std::string& prefix);

}  // namespace kiln::tensorflow_import
