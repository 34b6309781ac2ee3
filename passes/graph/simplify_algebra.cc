// simplify-algebra: laws of arithmetic that make a graph smaller or bring it into one form. The
// laws about shapes and movement stand in simplify_shapes.cc and belong to the same pass.
//
//   x + 0, x - 0, x * 1, x / 1, pow(x,1) = x           (the sign of a zero is not kept)
//   x * 0 = 0                                          integers only: NaN * 0 is NaN
//   x - c = x + (-c)                                   signed types, c static
//   x / c = x * (1/c)                                  floats, c a power of two, so that 1/c is
//   exact (x + c1) + c2 = x + (c1 + c2), same for *          c1, c2 static; * only of splats whose
//   product is normal x + (-y) = x - y      x - (-y) = x + y
//   -(-x) = x   not(not x) = x   f(f(x)) = f(x)        f one of relu, abs, floor, ceil, round, sign
//   clip(clip(x)) = clip(x)    clip(relu(x)) = clip(x, max(0, min), max)
//   max(x, 0) = relu(x)
//   pow(x, 2) = x * x                                  pow(x, 0.5) stays: sqrt differs at -0 and
//   -inf cast(cast(x)) = cast(x)                            when the inner cast loses nothing
//   where(true, a, b) = a      where(false, a, b) = b
#include <algorithm>
#include <cmath>
#include <limits>

#include "ir/graph/op_def.h"
#include "passes/graph/constants.h"
#include "passes/graph/graph_passes.h"
#include "passes/graph/simplify_shapes.h"
#include "passes/rewrite.h"

namespace kiln {

namespace {

bool IsSplat(RewriteSite& at, size_t operand, double value) {
  return SplatValue(*at.operand(operand), at.context()) == value;
}

// x, when the op is `kind`(x, c) with c a splat of `value`, or `kind`(c, x) of a commutative one.
Op* Besides(RewriteSite& at, std::string_view kind, double value) {
  if (!at.op().Is(kind)) return nullptr;
  if (IsSplat(at, 1, value)) return at.operand(0);
  if (at.op().HasTrait(kCommutative) && IsSplat(at, 0, value)) return at.operand(1);
  return nullptr;
}

// `x` in the op's own shape: the neutral operand may have broadcast it.
StatusOr<Op*> InOwnShape(RewriteSite& at, const StatusOr<Op*>& x) {
  return at.b().Broadcast(x, at.op().shape());
}

StatusOr<Op*> NeutralOperand(RewriteSite& at) {
  static constexpr struct {
    std::string_view kind;
    double neutral;
  } kNeutral[] = {{"add", 0}, {"sub", 0}, {"mul", 1}, {"div", 1}, {"pow", 1}};
  for (const auto& [kind, neutral] : kNeutral) {
    if (Op* const x = Besides(at, kind, neutral)) return InOwnShape(at, x);
  }
  return kNoMatch;
}

StatusOr<Op*> MulZero(RewriteSite& at) {
  if (Besides(at, "mul", 0) == nullptr) return kNoMatch;
  if (!IsInteger(at.op().element())) return at.Refuse("stays: a float times 0 may be NaN");
  return at.b().Broadcast(at.b().Scalar(at.op().element(), 0), at.op().shape());
}

StatusOr<Op*> SubStatic(RewriteSite& at) {
  if (!at.op().Is("sub") || !IsSigned(at.op().element())) return kNoMatch;
  if (!IsStatic(*at.operand(1), at.context()) || IsStatic(*at.operand(0), at.context())) {
    return kNoMatch;
  }
  return at.b().Add(at.operand(0), at.b().Make("neg", {at.operand(1)}));
}

StatusOr<Op*> DivPowerOfTwo(RewriteSite& at) {
  if (!at.op().Is("div") || !IsFloat(at.op().element())) return kNoMatch;
  const std::optional<double> divisor = SplatValue(*at.operand(1), at.context());
  if (!divisor || *divisor == 1 || !std::isfinite(*divisor) || *divisor == 0) return kNoMatch;
  int exponent = 0;
  const double mantissa = std::frexp(*divisor, &exponent);
  // f16 has the narrowest range: a reciprocal within 2^-14 .. 2^14 is normal in every float type.
  if (std::abs(mantissa) != 0.5 || std::abs(exponent - 1) > 14) return kNoMatch;
  return InOwnShape(at, at.b().MulScalar(at.operand(0), 1 / *divisor));
}

// The chain (x op c1) op c2 of the commutative `kind`, seen from the outer op.
struct Chain {
  Op *x, *inner_constant, *outer_constant;
};

std::optional<Chain> MatchChain(RewriteSite& at, std::string_view kind) {
  if (!at.op().Is(kind)) return std::nullopt;
  for (const size_t outer : {1, 0}) {
    Op* const inner = at.operand(1 - outer);
    if (!inner->Is(kind) || !HasOneUse(*inner)) continue;
    if (!IsStatic(*at.operand(outer), at.context())) continue;
    for (const size_t constant : {1, 0}) {
      if (!IsStatic(*inner->operand(constant), at.context())) continue;
      return Chain{inner->operand(1 - constant), inner->operand(constant), at.operand(outer)};
    }
  }
  return std::nullopt;
}

// Whether c1 op c2 is no larger than the larger of the two, which [n,1] + [1,n] is not.
bool StaysSmall(const Chain& chain) {
  const auto shape = BroadcastShapes(chain.inner_constant->shape(), chain.outer_constant->shape());
  return shape.ok() && ElementCount(*shape) <= std::max(chain.inner_constant->type().count(),
                                                        chain.outer_constant->type().count());
}

StatusOr<Op*> AddChain(RewriteSite& at) {
  const std::optional<Chain> chain = MatchChain(at, "add");
  if (!chain || !StaysSmall(*chain) || IsStatic(*chain->x, at.context())) return kNoMatch;
  return at.b().Add(chain->x, at.b().Add(chain->inner_constant, chain->outer_constant));
}

StatusOr<Op*> MulChain(RewriteSite& at) {
  const std::optional<Chain> chain = MatchChain(at, "mul");
  if (!chain || !StaysSmall(*chain) || IsStatic(*chain->x, at.context())) return kNoMatch;
  const std::optional<double> inner = SplatValue(*chain->inner_constant, at.context());
  const std::optional<double> outer = SplatValue(*chain->outer_constant, at.context());
  if (!inner || !outer) return kNoMatch;
  // (x * 1e30) * 1e30 is finite for a small x, x * inf is not.
  const double product = std::abs(*inner * *outer);
  const bool normal = product > std::ldexp(1.0, -14) && product < std::ldexp(1.0, 15);
  if (IsFloat(at.op().element()) && !normal) {
    return at.Refuse("stays: the product of the constants is too large or too small");
  }
  return at.b().Mul(chain->x, at.b().Mul(chain->inner_constant, chain->outer_constant));
}

StatusOr<Op*> AddNeg(RewriteSite& at) {
  if (!at.op().Is("add")) return kNoMatch;
  for (const size_t i : {1, 0}) {
    const Op* const negated = at.operand(i);
    // neg(c) is folded into a constant instead; see SubStatic.
    if (!negated->Is("neg") || IsStatic(*negated, at.context())) continue;
    return at.b().Sub(at.operand(1 - i), negated->operand(0));
  }
  return kNoMatch;
}

StatusOr<Op*> SubNeg(RewriteSite& at) {
  if (!at.op().Is("sub") || !at.operand(1)->Is("neg")) return kNoMatch;
  return at.b().Add(at.operand(0), at.operand(1)->operand(0));
}

StatusOr<Op*> Involution(RewriteSite& at) {
  const bool involution = at.op().Is("neg") || at.op().Is("not") || at.op().Is("bitwise_not");
  if (!involution || !at.operand(0)->Is(at.op().kind())) return kNoMatch;
  return at.operand(0)->operand(0);
}

StatusOr<Op*> Idempotent(RewriteSite& at) {
  static constexpr std::string_view kKinds[] = {"relu", "abs", "floor", "ceil", "round", "sign"};
  const std::string& kind = at.op().kind();
  if (std::find(std::begin(kKinds), std::end(kKinds), kind) == std::end(kKinds)) return kNoMatch;
  return at.operand(0)->Is(kind) ? at.operand(0) : kNoMatch;
}

StatusOr<Op*> ClipChain(RewriteSite& at) {
  if (!at.op().Is("clip")) return kNoMatch;
  const Op* const inner = at.operand(0);
  if (!inner->Is("clip") && !inner->Is("relu")) return kNoMatch;
  const bool relu = inner->Is("relu");
  const double inner_min = relu ? 0 : inner->Double("min");
  const double inner_max = relu ? std::numeric_limits<double>::infinity() : inner->Double("max");
  const double min = at.op().Double("min"), max = at.op().Double("max");
  if (!(inner_min <= inner_max) || !(min <= max)) return kNoMatch;
  return at.b().Make(
      "clip", {inner->operand(0)},
      {{"min", std::clamp(inner_min, min, max)}, {"max", std::clamp(inner_max, min, max)}});
}

StatusOr<Op*> MaxZero(RewriteSite& at) {
  Op* const x = Besides(at, "max", 0);
  if (x == nullptr || x->shape() != at.op().shape()) return kNoMatch;
  return at.b().Make("relu", {x});
}

StatusOr<Op*> PowConstant(RewriteSite& at) {
  if (!at.op().Is("pow")) return kNoMatch;
  if (IsSplat(at, 1, 0.5)) return at.Refuse("stays: sqrt differs from it at -0 and -inf");
  if (!IsSplat(at, 1, 2)) return kNoMatch;
  return InOwnShape(at, at.b().Mul(at.operand(0), at.operand(0)));
}

// The bits of an element type that hold an integer exactly.
int IntegerBits(ElementType type) {
  switch (type) {
    case ElementType::kBool: return 1;
    case ElementType::kF16: return 11;
    case ElementType::kBF16: return 8;
    case ElementType::kF32: return 24;
    case ElementType::kF64: return 53;
    default: return static_cast<int>(8 * ByteSize(type)) - (IsSigned(type) ? 1 : 0);
  }
}

// Whether every value of `from` has a counterpart in `to`, from which `from` is read back.
bool CastIsLossless(ElementType from, ElementType to) {
  if (from == to) return true;
  if (to == ElementType::kBool) return false;
  if (IntegerBits(from) > IntegerBits(to)) return false;
  if (IsFloat(from)) return IsFloat(to) && ByteSize(from) < ByteSize(to);
  return IsFloat(to) || from == ElementType::kBool || !IsSigned(from) || IsSigned(to);
}

StatusOr<Op*> CastChain(RewriteSite& at) {
  if (!at.op().Is("cast")) return kNoMatch;
  Op* const x = at.operand(0);
  if (x->element() == at.op().element()) return x;
  if (!x->Is("cast")) return kNoMatch;
  const ElementType from = x->operand(0)->element(), to = at.op().element();
  if (!CastIsLossless(from, x->element())) return kNoMatch;
  // Integers that do not fit wrap, floats that do not fit saturate.
  const bool through_float = IsFloat(x->element()) && !IsFloat(from) && IsInteger(to);
  if (through_float && !CastIsLossless(from, to)) return kNoMatch;
  return at.b().Cast(x->operand(0), to);
}

StatusOr<Op*> WhereConstant(RewriteSite& at) {
  if (!at.op().Is("where")) return kNoMatch;
  const std::optional<double> condition = SplatValue(*at.operand(0), at.context());
  if (!condition) return kNoMatch;
  return InOwnShape(at, at.operand(*condition != 0 ? 1 : 2));
}

const std::vector<RewriteRule>& Rules() {
  static const auto* const rules = [] {
    auto* all = new std::vector<RewriteRule>{
        {"neutral-operand", "an operand without effect is dropped", NeutralOperand},
        {"mul-zero", "x * 0 = 0", MulZero},
        {"sub-constant", "x - c = x + (-c)", SubStatic},
        {"div-power-of-two", "x / c = x * (1/c)", DivPowerOfTwo},
        {"add-chain", "(x + c1) + c2 = x + (c1 + c2)", AddChain},
        {"mul-chain", "(x * c1) * c2 = x * (c1 * c2)", MulChain},
        {"add-neg", "x + (-y) = x - y", AddNeg},
        {"sub-neg", "x - (-y) = x + y", SubNeg},
        {"involution", "f(f(x)) = x", Involution},
        {"idempotent", "f(f(x)) = f(x)", Idempotent},
        {"clip-chain", "clip(clip(x)) = clip(x)", ClipChain},
        {"max-zero", "max(x, 0) = relu(x)", MaxZero},
        {"pow-constant", "pow(x, 2) = x * x", PowConstant},
        {"cast-chain", "cast(cast(x)) = cast(x)", CastChain},
        {"where-constant", "where(c, a, b) = a or b", WhereConstant},
    };
    all->insert(all->end(), ShapeRules().begin(), ShapeRules().end());
    return all;
  }();
  return *rules;
}

}  // namespace

Pass SimplifyAlgebra() {
  return MakeRewritePass("simplify-algebra", "applies laws of arithmetic and of shapes", Rules());
}

}  // namespace kiln
