#include "compiler/import/caffe2/op_table.h"

#include <algorithm>
#include <map>

namespace kiln::caffe2_import {

namespace {

using OpTable = std::map<std::string, Caffe2Op, std::less<>>;

const OpTable& Table() {
  static const OpTable* const table = [] {
    auto* ops = new OpTable;
    for (const auto family : {FillOps, ElementwiseOps, ContractionOps, PoolOps, NormalizationOps,
                              MovementOps, ReduceOps}) {
      for (Caffe2Op& op : family()) {
        std::string name = op.name;
        ops->emplace(std::move(name), std::move(op));
      }
    }
    return ops;
  }();
  return *table;
}

}  // namespace

const Caffe2Op* FindCaffe2Op(std::string_view name) {
  const auto it = Table().find(name);
  return it == Table().end() ? nullptr : &it->second;
}

const std::vector<const Caffe2Op*>& AllCaffe2Ops() {
  static const auto* const all = [] {
    auto* ops = new std::vector<const Caffe2Op*>;
    for (const auto& [name, op] : Table()) ops->push_back(&op);
    return ops;
  }();
  return *all;
}

bool IsHint(std::string_view argument) {
  static constexpr std::string_view kHints[] = {"cudnn_exhaustive_search",
                                                "exhaustive_search",
                                                "ws_nbytes_limit",
                                                "shared_buffer",
                                                "enable_tensor_core",
                                                "deterministic",
                                                "float16_compute",
                                                "is_test",
                                                "use_cudnn",
                                                "init_params",
                                                "no_bias",
                                                "adj",
                                                "convolution_transform_strategy"};
  return std::ranges::count(kHints, argument) > 0;
}

}  // namespace kiln::caffe2_import
