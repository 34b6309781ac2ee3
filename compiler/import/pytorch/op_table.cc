#include "compiler/import/pytorch/op_table.h"

#include <algorithm>
#include <map>

namespace kiln::pytorch_import {

namespace {

using OpTable = std::map<std::string, PytorchOp, std::less<>>;

const OpTable& Table() {
  static const OpTable* const table = [] {
    auto* ops = new OpTable;
    for (const auto family :
         {UnaryOps, BinaryOps, CastOps, ContractionOps, AttentionOps, PoolOps, ResizeOps,
          NormalizationOps, ReduceOps, ShapeOps, MovementOps, IndexOps, GenerateOps, SizeOps}) {
      for (PytorchOp& op : family()) {
        std::string name = op.name;
        ops->emplace(std::move(name), std::move(op));
      }
    }
    return ops;
  }();
  return *table;
}

const PytorchOp* FindPytorchOp(std::string_view name) {
  const auto it = Table().find(name);
  return it == Table().end() ? nullptr : &it->second;
}

}  // namespace

Target FindTarget(std::string_view target) {
  if (const PytorchOp* const op = FindPytorchOp(target); op != nullptr) return {op, false};
  // In place: "_" behind the name, which is what stands before the last dot.
  const size_t dot = target.rfind('.');
  if (dot == target.npos || dot < 2 || target[dot - 1] != '_' || target[dot - 2] == '_') return {};
  std::string name(target);
  name.erase(dot - 1, 1);
  return {FindPytorchOp(name), true};
}

const std::vector<const PytorchOp*>& AllPytorchOps() {
  static const auto* const all = [] {
    auto* ops = new std::vector<const PytorchOp*>;
    for (const auto& [name, op] : Table()) ops->push_back(&op);
    return ops;
  }();
  return *all;
}

bool Understands(const PytorchOp& op, std::string_view argument) {
  static constexpr std::string_view kHints[] = {"layout", "device", "pin_memory", "memory_format",
                                                "non_blocking"};
  if (std::ranges::count(kHints, argument) > 0) return true;
  return std::ranges::count(StrSplit(op.arguments, ' '), argument) > 0;
}

}  // namespace kiln::pytorch_import
