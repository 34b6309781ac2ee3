// Casts, and nodes that pass their operand on.
#include "compiler/import/onnx/ops/cast.h"

#include <cmath>
#include <limits>

#include "compiler/import/onnx/graph_importer.h"

namespace kiln::onnx_import {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// The low bits of the integer, in two's complement.
StatusOr<Op*> CastToInt(Node& n, const StatusOr<Op*>& x, const NarrowType& to) {
  Builder& b = n.builder();
  const double half = to.is_signed ? std::ldexp(1.0, to.bits - 1) : 0;
  const StatusOr<Op*> bits =
      n.Make("bitwise_and", {b.AddScalar(b.Cast(x, ElementType::kI32), half),
                             b.Scalar(ElementType::kI32, std::ldexp(1.0, to.bits) - 1)});
  return b.Cast(b.AddScalar(bits, -half), to.held);
}

// `y` where |y| <= bound, `beyond` (with the sign of y) elsewhere.
StatusOr<Op*> Within(Node& n, const StatusOr<Op*>& y, double bound, double beyond) {
  KILN_RETURN_IF_ERROR(y.status());
  Builder& b = n.builder();
  const auto scalar = [&](double value) { return b.Scalar((*y)->element(), value); };
  const StatusOr<Op*> low =
      n.Make("where", {n.Make("less", {y, scalar(-bound)}), scalar(-beyond), y});
  return n.Make("where", {n.Make("greater", {y, scalar(bound)}), scalar(beyond), low});
}

StatusOr<Op*> Round(Node& n, const StatusOr<Op*>& x, const NarrowType& to) {
  return n.Make("round_to_float", {x},
                {{"mantissa_bits", int64_t{to.mantissa_bits}},
                 {"min_exponent", int64_t{to.min_exponent()}},
                 {"max_exponent", int64_t{std::ilogb(to.largest)}}});
}

// Powers of two from 2^-127 to 2^127, which f64 computes with without subnormals.
StatusOr<Op*> CastToScale(Node& n, const StatusOr<Op*>& x, const NarrowType& to,
                          const NarrowCast& how) {
  Builder& b = n.builder();
  const double smallest = std::ldexp(1.0, to.min_exponent());
  const auto scalar = [&](double value) { return b.Scalar(ElementType::kF64, value); };
  const StatusOr<Op*> wide = b.Cast(x, ElementType::kF64);
  const StatusOr<Op*> inside = n.Make("clip", {wide}, {{"min", smallest}, {"max", to.largest}});
  const StatusOr<Op*> nearest = Round(n, inside, to);
  StatusOr<Op*> y = nearest;
  if (how.round_mode == "up") {
    y = n.Make("where", {n.Make("less", {nearest, inside}), b.MulScalar(nearest, 2), nearest});
  } else if (how.round_mode == "down") {
    y = n.Make("where", {n.Make("greater", {nearest, inside}), b.MulScalar(nearest, 0.5), nearest});
  } else if (how.round_mode != "nearest") {
    return InvalidInput("attribute 'round_mode' is ", Quote(how.round_mode));
  }
  if (!how.saturate) {
    y = n.Make("where", {n.Make("equal", {wide, inside}), y, scalar(kNan)});
  }
  return b.Cast(y, to.held);
}

StatusOr<NarrowCast> ReadNarrowCast(Node& n) {
  return NarrowCast{n.Int("saturate", 1) != 0, n.String("round_mode", "up")};
}

Status Cast(Node& n) {
  if (const NarrowType* const narrow = n.NarrowAttribute("to")) {
    KILN_ASSIGN_OR_RETURN(const NarrowCast how, ReadNarrowCast(n));
    return n.Result(0, CastToNarrow(n, n.operand(0), *narrow, how), narrow);
  }
  KILN_ASSIGN_OR_RETURN(const ElementType to, n.TypeAttribute("to", ElementType::kF32));
  return n.Result(n.builder().Cast(n.operand(0), to));
}

Status CastLike(Node& n) {
  if (const NarrowType* const narrow = n.Narrow(1)) {
    KILN_ASSIGN_OR_RETURN(const NarrowCast how, ReadNarrowCast(n));
    return n.Result(0, CastToNarrow(n, n.operand(0), *narrow, how), narrow);
  }
  KILN_ASSIGN_OR_RETURN(const TensorType like, n.OperandType(1));
  return n.Result(n.builder().Cast(n.operand(0), like.element));
}

// The bits under another type. Of integers that is a cast, which wraps; bits of floats are no
// values that Kiln computes with.
Status BitCast(Node& n) {
  KILN_ASSIGN_OR_RETURN(const TensorType from, n.OperandType(0));
  KILN_ASSIGN_OR_RETURN(const ElementType to, n.TypeAttribute("to", from.element));
  if (ByteSize(from.element) != ByteSize(to)) {
    return InvalidInput(Name(from.element), " does not have the width of ", Name(to));
  }
  if (to != from.element && (IsFloat(to) || IsFloat(from.element) || to == ElementType::kBool)) {
    return Unsupported("bits of ", Name(from.element), " as ", Name(to), " are not supported");
  }
  return n.Result(n.builder().Cast(n.operand(0), to));
}

Status Identity(Node& n) {
  if (!n.Has(0)) return InvalidInput("operand 0 is missing");
  if (n.value(0)->CheckTensor().ok()) return n.Result(n.operand(0));
  n.Define(0, *n.value(0));
  return OkStatus();
}

// Dropout passes its operand on until the model is trained; its mask says that everything was kept.
// The mask has the operand's type before opset 10.
Status Drop(Node& n, double ratio) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.operand(0));
  if (!(ratio >= 0 && ratio <= 1)) return InvalidInput("the ratio is ", ratio);
  // What is dropped whole cannot be made up for, and is nothing to train with.
  const bool drops = ratio > 0 && ratio < 1 && IsFloat(x->element());
  const StatusOr<Op*> y = drops ? n.Make("dropout", {x}, {{"ratio", ratio}}) : x;
  KILN_RETURN_IF_ERROR(n.Result(0, y));
  if (!n.Wants(1)) return OkStatus();
  const ElementType type = n.opset() < 10 ? x->element() : ElementType::kBool;
  return n.Result(1, n.builder().Broadcast(n.builder().Scalar(type, 1.0), x->shape()));
}

Status Dropout(Node& n) {
  // Opsets 1 and 6 train by default.
  if (n.opset() < 7 && n.Int("is_test") == 0) {
    return Unsupported("Dropout in training mode is not supported");
  }
  if (n.opset() < 12) return Drop(n, n.Float("ratio", 0.5));
  double ratio = 0.5;
  if (n.Has(1)) {
    const StatusOr<double> known = n.KnownDouble(1, "ratio");
    // Whatever it is, inference does not depend on it.
    ratio = known.ok() ? *known : 0;
  }
  if (!n.Has(2)) return Drop(n, ratio);
  KILN_ASSIGN_OR_RETURN(const double training, n.KnownDouble(2, "training_mode"));
  if (training == 0) return Drop(n, ratio);
  if (n.Has(1)) {
    KILN_ASSIGN_OR_RETURN(ratio, n.KnownDouble(1, "ratio"));
  }
  if (ratio != 0) return Unsupported("Dropout in training mode is not supported");
  return Drop(n, 0);
}

}  // namespace

StatusOr<Op*> CastToNarrow(Node& n, const StatusOr<Op*>& x, const NarrowType& to,
                           const NarrowCast& how) {
  KILN_RETURN_IF_ERROR(x.status());
  if (!to.is_float()) return CastToInt(n, x, to);
  if (to.specials == Specials::kScale) return CastToScale(n, x, to, how);
  Builder& b = n.builder();
  const ElementType wide =
      (*x)->element() == ElementType::kF64 ? ElementType::kF64 : ElementType::kF32;
  const bool saturate = how.saturate || to.specials == Specials::kNone;
  // What rounds to more than the largest is still more than it when cut at twice that.
  const double limit = saturate ? to.largest : 2 * to.largest;
  StatusOr<Op*> y =
      Round(n, n.Make("clip", {b.Cast(x, wide)}, {{"min", -limit}, {"max", limit}}), to);
  if (!saturate) {
    y = Within(n, y, to.largest, to.specials == Specials::kIeee ? kInfinity : kNan);
  }
  if (to.specials == Specials::kUnsigned) {  // there is no -0
    const StatusOr<Op*> zero = b.Scalar(wide, 0);
    y = n.Make("where", {n.Make("equal", {y, zero}), zero, y});
  } else if (to.specials == Specials::kNone) {  // nor NaN, which ONNX's own cases make -0
    y = n.Make("where", {n.Make("is_nan", {y}), b.Scalar(wide, -0.0), y});
  }
  return b.Cast(y, to.held);
}

std::vector<OnnxOp> CastOps() {
  std::vector<OnnxOp> ops;
  const AttributeSpec saturate = Since(19, Int("saturate"));    // to 8-bit floats only
  const AttributeSpec round = Since(24, String("round_mode"));  // likewise
  ops.push_back({.name = "Cast",
                 .handler = Cast,
                 .attributes = {Required(Int("to")), saturate, round},
                 .first = 6,
                 .limits = "no strings",
                 .on_narrow = OnNarrow::kHandle});
  ops.push_back({.name = "CastLike",
                 .handler = CastLike,
                 .operands = {2, 2},
                 .attributes = {saturate, round},
                 .limits = "as Cast",
                 .on_narrow = OnNarrow::kHandle});
  ops.push_back({.name = "BitCast",
                 .handler = BitCast,
                 .attributes = {Required(Int("to"))},
                 .limits = "between integers"});
  ops.push_back({.name = "Identity", .handler = Identity, .on_narrow = OnNarrow::kPassOn});
  ops.push_back({.name = "Dropout",
                 .handler = Dropout,
                 .operands = {1, 3},
                 .max_results = 2,
                 .attributes = {Until(11, Float("ratio")), Since(12, Int("seed")),
                                Until(6, Int("is_test")), Until(5, Ints("consumed_inputs"))},
                 .limits = "inference, or a ratio of 0"});
  return ops;
}

}  // namespace kiln::onnx_import
