// order-for-memory: ops of a training step stand where they let memory go.
//
//   update p = u; ...; r(p)   =   ...; r(p); update p = u
//   y = f(x); ... loss; t(x)  =   y = f(x); t(x) ... loss       t smaller than x, which dies so
//   u = f(p); ...; g(u)       =   ...; u = f(p); g(u)           p are parameters and constants
//
// A parameter's new value behind the last read of the old one is computed in its place, where it
// would have to be kept and copied at the end. What the backward half computes from values of the
// forward half alone, and is smaller than those of them that nothing else in it reads, is kept
// instead of them: the taps of a pool, not its input. What is computed from parameters alone, such
// as transformed weights, can wait until it is read.
//
// Kept: updates that other ops read.
#include <algorithm>
#include <map>
#include <set>

#include "ir/graph/builder.h"
#include "ir/graph/op_def.h"
#include "passes/function_pass.h"
#include "passes/memory/memory_passes.h"
#include "passes/memory/timeline.h"
#include "passes/rewrite.h"

namespace kiln {

namespace {

constexpr char kName[] = "order-for-memory";

const Op* RootOf(const Op* op) {
  while (op->HasTrait(kView)) op = op->operand(0);
  return op;
}

/// Puts `op`, which is another then, in front of `next`, at the end where that is null.
Status MoveBefore(Op* op, Op* next) {
  Builder builder(op->graph(), next);
  const std::string name = op->name();
  KILN_ASSIGN_OR_RETURN(Op* const moved, builder.CloneOp(*op, op->operands()));
  op->graph()->ReplaceAllUses(op, moved);
  op->graph()->Erase(op);
  builder.Rename(moved, name);
  return OkStatus();
}

/// The second law.
class EarlyOps {
 public:
  EarlyOps(Graph& graph, PassContext& context) : context_(context), time_(graph) {}

  StatusOr<bool> Run() {
    struct Move {
      Op *op, *next;
    };
    std::vector<Move> moves;  // decided before any is made
    for (size_t i = static_cast<size_t>(time_.loss() + 1); i < time_.ops().size(); ++i) {
      Op* const op = time_.ops()[i];
      if (time_.loss() < 0 || op->HasTrait(kLeaf | kView)) continue;
      const int behind = LastOperand(*op);
      if (behind < 0 || op->type().bytes() >= Freed(*op) || !context_.Allow(kName, *op)) continue;
      context_.Fired(kName, *op,
                     StrCat(Describe(*op), " is computed before the loss: ", op->type().bytes(),
                            " bytes are kept, not ", Freed(*op)));
      moves.push_back({op, time_.ops()[static_cast<size_t>(behind + 1)]});
    }
    for (const Move& move : moves) KILN_RETURN_IF_ERROR(MoveBefore(move.op, move.next));
    return !moves.empty();
  }

 private:
  /// The position of the last of its operands; -1 when one is not of the forward half.
  int LastOperand(const Op& op) const {
    int last = -1;
    for (const Op* const x : op.operands()) {
      if (time_.PositionOf(*x) >= time_.loss()) return -1;
      last = std::max(last, time_.PositionOf(*x));
    }
    return last;
  }

  /// The bytes of the operands that only `op` reads behind the loss.
  int64_t Freed(const Op& op) const {
    std::set<const Op*> roots;
    for (const Op* const x : op.operands()) roots.insert(RootOf(x));
    int64_t bytes = 0;
    for (const Op* const root : roots) {
      const int position = time_.PositionOf(*root);
      const std::vector<int>& readers = time_.ReadersAfter(position);
      const bool only =
          std::ranges::all_of(readers, [&](int reader) { return reader == time_.PositionOf(op); });
      if (only && !op.graph()->IsOutput(root)) bytes += time_.Bytes(position);
    }
    return bytes;
  }

  PassContext& context_;
  const Timeline time_;
};

/// Neither a leaf nor a view, and reads nothing but leaves.
bool ReadsLeavesOnly(const Op& op) {
  return !op.HasTrait(kLeaf | kView) &&
         std::ranges::all_of(op.operands(), [](const Op* x) { return RootOf(x)->HasTrait(kLeaf); });
}

/// The third law.
StatusOr<bool> SinkToReaders(Graph& graph, PassContext& context) {
  bool changed = false;
  std::vector<Op*> ops = graph.Snapshot();  // null: one that has moved
  std::map<const Op*, size_t> position;
  for (size_t i = 0; i < ops.size(); ++i) position.emplace(ops[i], i);
  for (size_t i = 0; i < ops.size(); ++i) {
    Op* const op = ops[i];
    if (!ReadsLeavesOnly(*op) || op->users().empty() || graph.IsOutput(op)) continue;
    // None of the readers has moved: they do not read leaves only.
    Op* const reader = *std::ranges::min_element(op->users(), {},
                                                 [&](const Op* user) { return position.at(user); });
    // Others that wait for the same reader may stand between, and updates.
    const bool waits = std::any_of(ops.begin() + static_cast<std::ptrdiff_t>(i),
                                   ops.begin() + static_cast<std::ptrdiff_t>(position.at(reader)),
                                   [](const Op* between) {
                                     return between != nullptr && !between->users().empty() &&
                                            !between->HasTrait(kLeaf) && !ReadsLeavesOnly(*between);
                                   });
    if (!waits || reader->HasTrait(kView) || !context.Allow(kName, *op)) continue;
    context.Fired(kName, *op,
                  StrCat(Describe(*op), " is computed in front of ", Describe(*reader)));
    KILN_RETURN_IF_ERROR(MoveBefore(op, reader));
    ops[i] = nullptr;
    changed = true;
  }
  return changed;
}

/// The first law.
class LateUpdates {
 public:
  LateUpdates(Graph& graph, PassContext& context) : context_(context), ops_(graph.Snapshot()) {
    for (const Graph::Output& output : graph.outputs()) {
      const bool computes = !output.value->HasTrait(kLeaf | kView);
      if (output.update && computes && output.value->users().empty()) {
        parameters_.emplace(output.value, output.name);
      }
    }
    for (size_t i = 0; i < ops_.size(); ++i) {
      if (ops_[i]->HasTrait(kView) || parameters_.contains(ops_[i])) continue;
      for (const Op* const x : ops_[i]->operands()) {
        if (RootOf(x)->Is("parameter")) last_read_[RootOf(x)->String("name")] = i;
      }
    }
  }

  StatusOr<bool> Run() {
    bool changed = false;
    for (size_t i = 0; i < ops_.size(); ++i) {
      Op* const op = ops_[i];
      const auto update = parameters_.find(op);
      if (update == parameters_.end()) continue;
      const auto last = last_read_.find(update->second);
      if (last == last_read_.end() || last->second < i || !context_.Allow(kName, *op)) continue;
      context_.Fired(kName, *op,
                     StrCat("'", update->second, "' is updated behind ",
                            Describe(*ops_[last->second]), ", its last reader"));
      KILN_RETURN_IF_ERROR(MoveBefore(op, NextOf(last->second)));
      changed = true;
    }
    return changed;
  }

 private:
  /// The first op behind `position` that stays where it is.
  Op* NextOf(size_t position) const {
    for (size_t i = position + 1; i < ops_.size(); ++i) {
      if (!parameters_.contains(ops_[i])) return ops_[i];
    }
    return nullptr;
  }

  PassContext& context_;
  const std::vector<Op*> ops_;
  std::map<const Op*, std::string> parameters_;  // by the op that computes the new value
  std::map<std::string, size_t> last_read_;
};

StatusOr<bool> RunOn(Graph& function, PassContext& context) {
  bool changed = false;
  while (true) {  // what has moved may let others move
    KILN_ASSIGN_OR_RETURN(const bool early, EarlyOps(function, context).Run());
    if (!early) break;
    changed = true;
  }
  if (!std::ranges::any_of(function.outputs(), &Graph::Output::update)) return changed;
  KILN_ASSIGN_OR_RETURN(const bool sunk, SinkToReaders(function, context));
  KILN_ASSIGN_OR_RETURN(const bool late, LateUpdates(function, context).Run());
  return changed || sunk || late;
}

}  // namespace

Pass OrderForMemory() {
  return FunctionPass(kName, "moves ops of training steps to where they let memory go", RunOn);
}

}  // namespace kiln
