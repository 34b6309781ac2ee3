#include "compiler/schedule/split_sum.h"

#include <algorithm>

#include "compiler/schedule/access.h"
#include "ir/loop/affine.h"

namespace kiln {

namespace {

using loop::Expr;
using loop::ExprKind;
using loop::Var;

constexpr int64_t kBlock = 32;  // steps
constexpr int64_t kChunks = 16;

/// The bytes that a factor takes that varies in the loop `var` and the steps of the sum.
int64_t BytesOf(const Expr& factor, int64_t extent, int64_t steps) {
  return ByteSize(factor.type()) * extent * steps;
}

/// Whether `along` is one large matrix whose rows, one a step, lie pages apart.
bool ReadsPagesApart(const Nest& nest, const Contraction& contraction, const Expr& reduce,
                     const Target& target) {
  if (reduce->reduce_vars.size() != 1 || nest.loops.size() != 2 || !contraction.row) return false;
  if (nest.buffer->element != reduce.type()) return false;  // it cannot hold partial sums
  const Var& step = reduce->reduce_vars[0];
  if (contraction.along->kind != ExprKind::kLoad || step->extent < 4 * kBlock) return false;
  const Linear form = AddressForm(contraction.along->buffer, contraction.along->args);
  const int64_t element = ByteSize(contraction.along.type());
  const int64_t result = ByteSize(nest.buffer->element) * ElementCount(nest.buffer->shape);
  return form.irregular.empty() && form.Coefficient(contraction.vector.get()) == 1 &&
         form.Coefficient(step.get()) * element >= kPageBytes &&
         BytesOf(contraction.along, contraction.vector->extent, step->extent) >
             std::max(target.l2_bytes, 4 * result);
}

/// In how many chunks the columns pass: so many that a chunk of the result stays in half of the L2
/// cache and all cores have work, and each of whole vectors; 0 when they have no such divisor.
int64_t ChooseChunks(const Nest& nest, const Contraction& contraction, const Target& target) {
  const int64_t vectors = contraction.vector->extent / contraction.lanes;
  if (contraction.vector->extent % contraction.lanes != 0) return 0;
  const int64_t result = ByteSize(nest.buffer->element) * ElementCount(nest.buffer->shape);
  const int64_t least = std::max(kChunks / 2, 2 * result / target.l2_bytes);
  for (int64_t chunks = least; chunks <= std::min(8 * least, vectors / 2); ++chunks) {
    if (vectors % chunks == 0) return chunks;
  }
  return 0;
}

}  // namespace

std::optional<SplitContraction> SplitSum(const Nest& nest, const Contraction& contraction,
                                         const Target& target) {
  const Expr reduce = FindReduce(nest.value);
  if (!ReadsPagesApart(nest, contraction, reduce, target)) return std::nullopt;
  const int64_t chunks = ChooseChunks(nest, contraction, target);
  if (chunks == 0) return std::nullopt;
  const Var chunk = loop::MakeVar("c", chunks);
  const Var column = loop::MakeVar(contraction.vector->name, contraction.vector->extent / chunks);
  const Expr joined = Expr(chunk) * column->extent + Expr(column);
  const Var& step = reduce->reduce_vars[0];
  // The first block takes what is left over of the others.
  const int64_t blocks = step->extent / kBlock;
  const int64_t first = kBlock + step->extent % kBlock;

  // The sum over `size` steps from `start` on, added to what is there.
  const auto part = [&](const Expr& start, int64_t size, bool adds, bool last) {
    const Var inner = loop::MakeVar(step->name, size);
    const Expr body = loop::Substitute(reduce->args[0], {{step.get(), start + Expr(inner)}});
    Expr sum = loop::Reduce(loop::ReduceOp::kSum, {inner}, body);
    if (adds) sum = loop::Load(nest.buffer, nest.indices) + sum;
    Nest result = nest;
    result.value = !last ? sum : loop::Transform(nest.value, [&](const Expr& node) {
      return node->kind == ExprKind::kReduce ? sum : node;
    });
    return result;
  };
  const Var block = loop::MakeVar("b", blocks - 2);
  SplitContraction split{{}, contraction};
  split.contraction.vector = column;
  if (contraction.second == contraction.vector) split.contraction.second = column;
  split.nests = {part(0, first, /*adds=*/false, /*last=*/false),
                 part(Expr(block) * kBlock + first, kBlock, /*adds=*/true, /*last=*/false),
                 part(Expr(step->extent - kBlock), kBlock, /*adds=*/true, /*last=*/true)};
  for (Nest& result : split.nests) {
    const bool middle = &result == &split.nests[1];
    result = SubstituteVars(result, {{contraction.vector.get(), joined}});
    result.loops = middle ? std::vector<Var>{chunk, block, column, contraction.row}
                          : std::vector<Var>{chunk, column, contraction.row};
  }
  return split;
}

}  // namespace kiln
