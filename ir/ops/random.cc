// Random numbers that are functions of where and when they are drawn, and dropout.
//
// Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC
// 2011): ten rounds turn a 64-bit key and a 128-bit counter into 128 random bits. The key is the
// seed; the counter holds the element, the step and the stream (the layer). So a draw needs no
// state, is the same in any order and on any number of threads, and repeats when a run is resumed.
#include <array>

#include "ir/ops/gradient.h"
#include "ir/ops/op_table.h"
#include "ir/ops/shape_util.h"

namespace kiln {

using loop::Binary;
using loop::BinaryOp;
using loop::Expr;

namespace {

constexpr uint64_t kMultipliers[2] = {0xD2511F53, 0xCD9E8D57};
constexpr uint64_t kKeySteps[2] = {0x9E3779B9, 0xBB67AE85};
constexpr uint64_t kLow32 = 0xFFFFFFFF;
constexpr int kRounds = 10;
constexpr int kMantissaBits = 24;

// One round and all of them, on 32-bit words held in 64 bits: of a number type or of Expr.

uint64_t Word(uint64_t value, const uint64_t&) { return value; }
Expr Word(uint64_t value, const Expr&) {
  return loop::ConstInt(ElementType::kU64, static_cast<int64_t>(value));
}
uint64_t Low(uint64_t a) { return a & kLow32; }
uint64_t High(uint64_t a) { return a >> 32; }
uint64_t Xor(uint64_t a, uint64_t b) { return a ^ b; }
Expr Low(const Expr& a) { return Binary(BinaryOp::kAnd, a, Word(kLow32, a)); }
Expr High(const Expr& a) { return Binary(BinaryOp::kShr, a, Word(32, a)); }
Expr Xor(const Expr& a, const Expr& b) { return Binary(BinaryOp::kXor, a, b); }

/// The first word of Philox4x32-10; counter and key are 32-bit words.
template <typename T>
T Philox(std::array<T, 4> counter, std::array<T, 2> key) {
  for (int round = 0; round < kRounds; ++round) {
    const T first = counter[0] * Word(kMultipliers[0], key[0]);
    const T second = counter[2] * Word(kMultipliers[1], key[0]);
    counter = {Xor(Xor(High(second), counter[1]), key[0]), Low(second),
               Xor(Xor(High(first), counter[3]), key[1]), Low(first)};
    for (int i = 0; i < 2; ++i) key[i] = Low(key[i] + Word(kKeySteps[i], key[i]));
  }
  return counter[0];
}

/// The word for one element, from the values of the key operand.
template <typename T>
T Draw(const T& element, const T& seed, const T& step, const T& stream) {
  return Philox<T>({Low(element), High(element), Low(step), stream}, {Low(seed), High(seed)});
}

// random_uniform

StatusOr<TensorType> InferRandomUniform(const Op& op) {
  const TensorType& key = op.operand(0)->type();
  if (key.element != ElementType::kI64 || key.shape != Shape{2}) {
    return OpError(op, "the key must be i64[2]: the seed and the step");
  }
  KILN_RETURN_IF_ERROR(CheckRange(op, "stream", op.Int("stream"), 0, int64_t{kLow32}));
  KILN_RETURN_IF_ERROR(CheckShape(op, ElementType::kF32, op.Ints("shape")));
  return TensorType{ElementType::kF32, op.Ints("shape")};
}

Status EvaluateRandomUniform(const Op& op, std::span<const Array* const> in, Array& result) {
  const auto seed = static_cast<uint64_t>(in[0]->ints[0]);
  const auto step = static_cast<uint64_t>(in[0]->ints[1]);
  const auto stream = static_cast<uint64_t>(op.Int("stream"));
  for (int64_t i = 0; i < result.count(); ++i) {
    const uint64_t word = Draw<uint64_t>(static_cast<uint64_t>(i), seed, step, stream);
    result.floats[i] = static_cast<double>(word >> (32 - kMantissaBits)) * 0x1p-24;
  }
  return OkStatus();
}

Expr RandomUniformElement(const Op& op, const Reader& read, const std::vector<Expr>& index) {
  const auto word = [](const Expr& value) { return loop::Cast(ElementType::kU64, value); };
  Expr element = 0;
  for (size_t d = 0; d < index.size(); ++d) element = element * op.shape()[d] + index[d];
  const Expr drawn =
      Draw<Expr>(word(element), word(read(0, {0})), word(read(0, {1})), word(op.Int("stream")));
  const Expr bits = Binary(BinaryOp::kShr, drawn, Word(32 - kMantissaBits, drawn));
  return loop::Cast(ElementType::kF32, loop::Cast(ElementType::kI32, bits)) *
         loop::Const(ElementType::kF32, 0x1p-24);
}

// dropout

StatusOr<TensorType> InferDropout(const Op& op) {
  KILN_RETURN_IF_ERROR(CheckFloat(op));
  const double ratio = op.Double("ratio");
  if (!(ratio >= 0 && ratio < 1)) return OpError(op, "ratio must be from 0 to below 1");
  return op.operand(0)->type();
}

}  // namespace

std::vector<OpDef> RandomOps() {
  using Kind = Attribute::Kind;
  std::vector<OpDef> ops;
  ops.push_back({.name = "random_uniform",
                 .doc = "Numbers from [0, 1), multiples of 2^-24: element i is the first word of "
                        "Philox4x32-10 of the counter (i, i >> 32, step, stream) under the key "
                        "(seed, seed >> 32), where `key` holds the seed and the step.",
                 .operands = {{"key"}},
                 .attributes = {{"shape", Kind::kInts, {}, "the result's shape"},
                                {"stream", Kind::kInt, {}, "tells draws of one step apart"}},
                 .infer = InferRandomUniform,
                 .evaluate = EvaluateRandomUniform,
                 .element = RandomUniformElement,
                 .no_gradient = "its operand is an integer"});
  ops.push_back({.name = "dropout",
                 .doc = "y = x. While training (see the pass training-mode) y = x m / (1 - ratio), "
                        "with m random: 0 with probability `ratio`, otherwise 1.",
                 .operands = {{"x"}},
                 .attributes = {{"ratio", Kind::kDouble, Attribute(0.5),
                                 "the part that is dropped, 0 <= ratio < 1"}},
                 .infer = InferDropout,
                 .decompose = [](Builder& b, const Op& op) -> StatusOr<Op*> {
                   return b.Reshape(op.operand(0), op.shape());
                 }});
  return ops;
}

}  // namespace kiln
