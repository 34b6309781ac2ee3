#include "ir/ops/op_table.h"

#include <algorithm>
#include <map>

namespace kiln {

namespace {

using OpTable = std::map<std::string, OpDef, std::less<>>;

const OpTable& Table() {
  static const OpTable* const table = [] {
    auto* ops = new OpTable;
    constexpr std::vector<OpDef> (*kFamilies[])() = {
        LeafOps,
        ElementwiseUnaryOps,
        ElementwiseBinaryOps,
        ActivationOps,
        MovementOps,
        SliceOps,
        GatherOps,
        ScatterOps,
        ReduceOps,
        ArgReduceOps,
        ScanOps,
        TopKOps,
        MatmulOps,
        ConvOps,
        WinogradOps,
        WinogradGradientOps,
        ConvGradientOps,
        PoolOps,
        UnpoolOps,
        SoftmaxOps,
        NormalizationOps,
        RandomOps,
        LossOps,
        ResizeOps,
    };
    for (const auto family : kFamilies) {
      for (OpDef& def : family()) {
        std::string name = def.name;
        ops->emplace(std::move(name), std::move(def));
      }
    }
    return ops;
  }();
  return *table;
}

}  // namespace

const OpDef* FindOp(std::string_view name) {
  const auto it = Table().find(name);
  return it == Table().end() ? nullptr : &it->second;
}

const std::vector<const OpDef*>& AllOps() {
  static const auto* const all = [] {
    auto* ops = new std::vector<const OpDef*>;
    for (const auto& [name, def] : Table()) ops->push_back(&def);
    return ops;
  }();
  return *all;
}

}  // namespace kiln
