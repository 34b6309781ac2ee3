// The archives of torch.export.save, in all their layouts:
//   since 2.8   models/NAME.json, data/weights/, data/constants/ in a folder; tensors are bare
//               bytes with a table in NAME_weights_config.json, or (2.8) NAME.pt of torch.save;
//   before      serialized_exported_program.json, serialized_state_dict.pt,
//   serialized_constants.pt.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "ir/graph/tensor.h"
#include "ir/support/status.h"

namespace kiln::pytorch_import {

using Tensors = std::map<std::string, Tensor>;

struct Archive {
  std::vector<char> program;  ///< JSON, see program.h
  Tensors weights;            ///< parameters and buffers that are saved, by name
  Tensors constants;          ///< and all other tensors
};

/// Reads an archive. No more is read than the bytes it has: one that is compressed beyond what it
/// holds is refused, as PyTorch compresses nothing.
StatusOr<Archive> ReadArchive(std::span<const char> bytes);

}  // namespace kiln::pytorch_import
