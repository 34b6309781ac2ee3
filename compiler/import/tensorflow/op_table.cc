#include "compiler/import/tensorflow/op_table.h"

#include <algorithm>
#include <map>

namespace kiln::tensorflow_import {

namespace {

using OpTable = std::map<std::string, TensorflowOp, std::less<>>;

const OpTable& Table() {
  static const OpTable* const table = [] {
    auto* ops = new OpTable;
    for (const auto family : {SourceOps, ElementwiseOps, ContractionOps, PoolOps, NormalizationOps,
                              ShapeOps, MovementOps, SpaceOps, ReduceOps}) {
      for (TensorflowOp& op : family()) {
        std::string name = op.name;
        ops->emplace(std::move(name), std::move(op));
      }
    }
    return ops;
  }();
  return *table;
}

}  // namespace

const TensorflowOp* FindTensorflowOp(std::string_view name) {
  const auto it = Table().find(name);
  return it == Table().end() ? nullptr : &it->second;
}

const std::vector<const TensorflowOp*>& AllTensorflowOps() {
  static const auto* const all = [] {
    auto* ops = new std::vector<const TensorflowOp*>;
    for (const auto& [name, op] : Table()) ops->push_back(&op);
    return ops;
  }();
  return *all;
}

int FirstOutput(const std::string& op, const std::string& name) {
  const TensorflowOp* const spec = FindTensorflowOp(op);
  if (spec == nullptr) return 0;
  const auto it = std::ranges::find(spec->outputs, name);
  return it == spec->outputs.end() ? 0 : static_cast<int>(it - spec->outputs.begin());
}

bool IsSideEffect(std::string_view op) {
  static constexpr std::string_view kOps[] = {"Assert",
                                              "Assign",
                                              "AssignVariableOp",
                                              "Const",
                                              "HistogramSummary",
                                              "ImageSummary",
                                              "NoOp",
                                              "Placeholder",
                                              "Print",
                                              "RestoreV2",
                                              "SaveV2",
                                              "MergeV2Checkpoints",
                                              "ScalarSummary",
                                              "VarHandleOp",
                                              "VariableV2",
                                              "VarIsInitializedOp",
                                              "Variable",
                                              "StringJoin",
                                              "ShardedFilename",
                                              "Enter",
                                              "MergeSummary",
                                              "IsVariableInitialized"};
  return std::ranges::count(kOps, op) > 0;
}

}  // namespace kiln::tensorflow_import
