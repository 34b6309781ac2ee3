#include "compiler/import/mxnet/op_table.h"

#include <algorithm>
#include <map>

namespace kiln::mxnet_import {

namespace {

using OpTable = std::map<std::string, MxnetOp, std::less<>>;

const OpTable& Table() {
  static const OpTable* const table = [] {
    auto* ops = new OpTable;
    for (const auto family : {ElementwiseOps, ContractionOps, PoolOps, NormalizationOps,
                              MovementOps, ReduceOps, OutputOps}) {
      for (MxnetOp& op : family()) {
        std::string name = op.name;
        ops->emplace(std::move(name), std::move(op));
      }
    }
    return ops;
  }();
  return *table;
}

}  // namespace

const MxnetOp* FindMxnetOp(std::string_view name) {
  const auto it = Table().find(name);
  return it == Table().end() ? nullptr : &it->second;
}

const std::vector<const MxnetOp*>& AllMxnetOps() {
  static const auto* const all = [] {
    auto* ops = new std::vector<const MxnetOp*>;
    for (const auto& [name, op] : Table()) ops->push_back(&op);
    return ops;
  }();
  return *all;
}

bool IsHint(std::string_view attribute) {
  static constexpr std::string_view kHints[] = {
      "workspace", "cudnn_tune",     "cudnn_off",    "lr_mult",         "wd_mult",   "ctx_group",
      "num_args",  "weight_lr_mult", "mirror_stage", "force_mirroring", "grad_scale"};
  return attribute.starts_with("__") || std::ranges::count(kHints, attribute) > 0;
}

}  // namespace kiln::mxnet_import
