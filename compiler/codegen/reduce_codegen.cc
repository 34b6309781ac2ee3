// TileEmitter: reductions. The accumulators of all instances live in registers across the loops.
#include <algorithm>
#include <bit>
#include <unordered_set>

#include "compiler/codegen/tile_emitter.h"

namespace kiln {

namespace {

using loop::Expr;
using loop::ExprKind;
using loop::ExprNode;

/// Steps that are emitted as straight code before they become a loop.
constexpr int64_t kMaxStraightSteps = 64;
constexpr int64_t kMaxStraightExtent = 8;
/// An innermost loop is unrolled up to this many steps, and this many times.
constexpr int64_t kStepsPerIteration = 16;
constexpr int64_t kMaxUnroll = 4;
/// Independent sums in a scalar reduction: enough to hide the latency of an addition.
constexpr int64_t kPartials = 4;
constexpr int64_t kMaxPartials = 16;

bool HoldsReduction(const Expr& expr) {
  bool found = false;
  loop::Walk(expr, [&](const Expr& e) { found |= e->kind == ExprKind::kReduce; });
  return found;
}

}  // namespace

void TileEmitter::HoistReductions(const Expr& body, const std::vector<loop::Var>& variables) {
  loop::Walk(body, [&](const Expr& expr) {
    if (expr->kind != ExprKind::kReduce) return;
    const Info& info = InfoOf(expr);
    VariableSet bound;
    for (const loop::Var& var : variables) bound.set(IdOf(var.get()));
    for (size_t id = 0; id < variables_.size(); ++id) bound[id] = bound[id] || !IsBound(id);
    if ((info.variables & bound).none() && !info.may_fault) Eval(expr);
  });
}

TileEmitter::Reduction TileEmitter::Gather(const Expr& expr) {
  Reduction reduction;
  for (const loop::Var& var : expr->reduce_vars) reduction.extents.push_back(var->extent);
  AddMember(reduction, expr);
  if (InfoOf(expr).may_fault || reducing_) return reduction;
  const int width = ReduceLanes(expr);
  loop::Walk(store_.value, [&](const Expr& other) {
    if (other->kind != ExprKind::kReduce || other.get() == expr.get()) return;
    const bool same_extents =
        std::equal(other->reduce_vars.begin(), other->reduce_vars.end(), reduction.extents.begin(),
                   reduction.extents.end(),
                   [](const loop::Var& var, int64_t extent) { return var->extent == extent; });
    const Info& info = InfoOf(other);
    if (!same_extents || info.may_fault || HoldsReduction(other->args[0])) return;
    for (size_t id = 0; id < variables_.size(); ++id) {
      if (info.variables[id] && !IsBound(id)) return;
    }
    if (ReduceLanes(other) == width && Remembered(KeyOf(other)) == nullptr) {
      AddMember(reduction, other);
    }
  });
  return reduction;
}

void TileEmitter::AddMember(Reduction& reduction, const Expr& reduce) {
  reduction.members.push_back(reduce);
  const Instance present = present_;
  std::unordered_set<Key, KeyHash> keys;
  for (const Instance& instance : instances_) {
    Enter(instance);
    if (!keys.insert(KeyOf(reduce)).second) continue;
    llvm::Constant* const neutral =
        ops_.Constant(*loop::NeutralElement(reduce->reduce, reduce->type));
    const int lanes = VariesInLanes(reduce) ? lanes_.width : 0;
    reduction.accumulators.push_back({reduce, instance, ops_.Splat(neutral, lanes)});
  }
  Enter(present);
}

void TileEmitter::ChooseUnrolling(Reduction& reduction) const {
  const auto can_unroll = [&](size_t depth) {
    return std::all_of(reduction.members.begin(), reduction.members.end(), [&](const Expr& member) {
      return code_shift_[IdOf(member->reduce_vars[depth].get())] >= 0;
    });
  };
  auto steps = static_cast<int64_t>(reduction.accumulators.size());
  reduction.looped = reduction.extents.size();
  while (reduction.looped > 0) {
    const int64_t extent = reduction.extents[reduction.looped - 1];
    const bool small = extent <= kMaxStraightExtent && steps * extent <= kMaxStraightSteps;
    if (!small || !can_unroll(reduction.looped - 1)) break;
    steps *= extent;
    --reduction.looped;
  }
  if (reduction.looped == 0 || !can_unroll(reduction.looped - 1)) return;
  reduction.unroll = std::clamp<int64_t>(kStepsPerIteration / steps, 1, kMaxUnroll);
}

llvm::Value* TileEmitter::EvalReduce(const Expr& expr) {
  HoistReductions(expr->args[0], expr->reduce_vars);
  Reduction reduction = Gather(expr);
  const Instance present = present_;
  const bool outer = std::exchange(reducing_, true);
  if (std::count(reduction.extents.begin(), reduction.extents.end(), 0) == 0) {
    if (const int width = ReduceLanes(expr)) {
      ReduceInLanes(reduction, width);
    } else {
      ChooseUnrolling(reduction);
      ReduceOver(reduction, 0);
    }
  }
  reducing_ = outer;
  for (const Expr& member : reduction.members) {
    for (const loop::Var& var : member->reduce_vars) Unbind(var.get());
  }
  for (const Accumulator& accumulator : reduction.accumulators) {
    Enter(accumulator.instance);
    memos_.back().values[KeyOf(accumulator.reduce)] = accumulator.value;
  }
  Enter(present);
  return Remembered(KeyOf(expr));
}

void TileEmitter::BindReduce(const Reduction& reduction, size_t depth, const Binding& binding) {
  for (const Expr& member : reduction.members) {
    Bind(IdOf(member->reduce_vars[depth].get()), binding);
  }
}

void TileEmitter::ReduceOver(Reduction& reduction, size_t depth) {
  if (depth == reduction.extents.size()) return Accumulate(reduction);
  const int64_t extent = reduction.extents[depth];
  const auto straight = [&](int level, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      BindReduce(reduction, depth, {level, i});
      ReduceOver(reduction, depth + 1);
    }
  };
  if (depth >= reduction.looped || extent == 1) return straight(0, 0, extent);
  const int64_t unroll = depth + 1 == reduction.looped ? reduction.unroll : 1;
  const int64_t looped = extent / unroll * unroll;
  if (looped > 0) {
    const int level = nest_.Open(looped, unroll, true);
    for (Accumulator& total : reduction.accumulators) total.value = nest_.Carry(total.value);
    memos_.emplace_back();
    straight(level, 0, unroll);
    memos_.pop_back();
    std::vector<llvm::Value*> totals;
    for (const Accumulator& total : reduction.accumulators) totals.push_back(total.value);
    nest_.Close(totals);
  }
  straight(0, looped, extent);
}

void TileEmitter::Accumulate(Reduction& reduction) {
  for (Accumulator& total : reduction.accumulators) {
    Enter(total.instance);
    total.value = Step(total.reduce, total.value);
  }
}

llvm::Value* TileEmitter::Step(const Expr& reduce, llvm::Value* total) {
  const Expr& body = reduce->args[0];
  const bool is_product = body->kind == ExprKind::kBinary && body->binary == loop::BinaryOp::kMul &&
                          IsFloat(body.type());
  // Lanes that are terms of the sum must add nothing where there is no term; lanes that are results
  // are not stored then.
  const bool masked = lanes_.partial() && lanes_.variable == IdOf(reduce->reduce_vars.back().get());
  if (reduce->reduce == loop::ReduceOp::kSum && is_product && !masked) {
    llvm::Value* const a = Eval(body->args[0]);
    llvm::Value* const b = Eval(body->args[1]);
    return ops_.MultiplyAdd(a, b, total);
  }
  llvm::Value* value = Eval(body);
  if (masked && LanesOf(total) > 0) {
    llvm::Constant* const neutral =
        ops_.Constant(*loop::NeutralElement(reduce->reduce, reduce->type));
    value = ops_.Select(ActiveMask(), value, neutral);
  }
  return ops_.Combine(reduce->reduce, reduce->type, total, value);
}

int TileEmitter::ReduceLanes(const Expr& reduce) {
  const loop::Variable* const row = reduce->reduce_vars.back().get();
  const Expr& body = reduce->args[0];
  if (VariesInLanes(reduce) || code_shift_[IdOf(row)] < 0 || row->extent < 2) return 0;
  bool contiguous = false, possible = true;
  loop::Walk(body, [&](const Expr& expr) {
    const bool varies = InfoOf(expr).variables[IdOf(row)];
    if (expr->kind == ExprKind::kReduce && varies) possible = false;
    if (expr->kind != ExprKind::kLoad || !varies) return;
    const loop::Affine flat = FlatIndex(expr->buffer, expr->args);
    for (const auto& [atom, coefficient] : flat.terms) {
      if (atom->kind != ExprKind::kVar && InfoOf(atom).variables[IdOf(row)]) possible = false;
    }
    contiguous = true;
    if (flat.CoefficientOf(row) != 1) possible = false;
  });
  if (!contiguous || !possible) return 0;
  const int native = NativeLanes(body);
  const int width = std::min<int>(native, std::bit_floor(static_cast<uint64_t>(row->extent)));
  return width >= std::min(native, 4) && width > 1 ? width : 0;
}

void TileEmitter::ReduceInLanes(Reduction& reduction, int width) {
  const auto count = static_cast<int64_t>(reduction.accumulators.size());
  const int64_t full = reduction.extents.back() / width;
  const int64_t parts = std::clamp<int64_t>(std::min(full, kMaxPartials / count), 1, kPartials);
  Partials partials;
  for (const Accumulator& total : reduction.accumulators) {
    partials.emplace_back(parts, ops_.Splat(total.value, width));
  }
  ReduceRows(reduction, 0, width, partials);
  for (size_t i = 0; i < partials.size(); ++i) {
    Accumulator& total = reduction.accumulators[i];
    llvm::Value* sum = partials[i][0];
    for (int64_t p = 1; p < parts; ++p) {
      sum = ops_.Combine(total.reduce->reduce, total.reduce->type, sum, partials[i][p]);
    }
    total.value = ops_.CombineLanes(total.reduce->reduce, total.reduce->type, sum);
  }
}

void TileEmitter::InLoop(int64_t end, int64_t step, Partials& partials,
                         const std::function<void(int level)>& body) {
  const int level = nest_.Open(end, step, true);
  for (auto& parts : partials) {
    for (llvm::Value*& part : parts) part = nest_.Carry(part);
  }
  memos_.emplace_back();
  body(level);
  memos_.pop_back();
  std::vector<llvm::Value*> next;
  for (const auto& parts : partials) next.insert(next.end(), parts.begin(), parts.end());
  nest_.Close(next);
}

void TileEmitter::ReduceRows(Reduction& reduction, size_t depth, int width, Partials& partials) {
  if (depth + 1 == reduction.extents.size()) return ReduceRow(reduction, width, partials);
  if (reduction.extents[depth] == 1) {
    BindReduce(reduction, depth, {0, 0});
    return ReduceRows(reduction, depth + 1, width, partials);
  }
  InLoop(reduction.extents[depth], 1, partials, [&](int level) {
    BindReduce(reduction, depth, {level, 0});
    ReduceRows(reduction, depth + 1, width, partials);
  });
}

void TileEmitter::ReduceRow(Reduction& reduction, int width, Partials& partials) {
  const int64_t extent = reduction.extents.back();
  const auto parts = static_cast<int64_t>(partials[0].size());
  const int64_t step = parts * width;
  const int64_t looped = extent / step * step;
  InLoop(looped, step, partials, [&](int level) {
    for (int64_t p = 0; p < parts; ++p) {
      StepInLanes(reduction, {level, p * width}, width, width, partials, p);
    }
  });
  int64_t done = looped;
  for (int64_t p = 0; done + width <= extent; done += width, ++p) {
    StepInLanes(reduction, {0, done}, width, width, partials, p);
  }
  if (done == extent) return;
  if (ops_.isa().has_masked_memory) {
    return StepInLanes(reduction, {0, done}, width, static_cast<int>(extent - done), partials, 0);
  }
  for (; done < extent; ++done) StepInLanes(reduction, {0, done}, 0, 1, partials, 0);
}

void TileEmitter::StepInLanes(Reduction& reduction, const Binding& base, int width, int active,
                              Partials& partials, int64_t part) {
  const std::vector<Instance> outer = instances_;
  for (size_t i = 0; i < partials.size(); ++i) {
    const Accumulator& total = reduction.accumulators[i];
    const int variable = IdOf(total.reduce->reduce_vars.back().get());
    instances_ = {{total.instance.unrolled, Lanes{variable, base, width, active}}};
    Enter(instances_[0]);
    llvm::Value*& sum = partials[i][part];
    if (width > 0) {
      sum = Step(total.reduce, sum);
      continue;
    }
    // One value: it joins the first lane.
    const loop::ReduceOp op = total.reduce->reduce;
    llvm::Value* const value = Eval(total.reduce->args[0]);
    llvm::Value* const neutral =
        ops_.Splat(ops_.Constant(*loop::NeutralElement(op, total.reduce->type)), LanesOf(sum));
    sum = ops_.Combine(op, total.reduce->type, sum,
                       ops_.builder().CreateInsertElement(neutral, value, uint64_t{0}));
  }
  instances_ = outer;
}

}  // namespace kiln
