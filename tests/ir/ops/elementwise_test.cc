#include "ir/eval/elementwise.h"

#include <cmath>
#include <limits>

#include "tests/ir/ops/op_test_util.h"

namespace kiln {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsNan;

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

std::vector<double> Unary(std::string_view kind, const std::vector<double>& x,
                          AttributeMap attributes = {}) {
  return Values(RunOp(kind, {Floats({static_cast<int64_t>(x.size())}, x)}, attributes));
}

std::vector<double> Binary(std::string_view kind, const std::vector<double>& a,
                           const std::vector<double>& b) {
  const auto n = static_cast<int64_t>(a.size());
  return Values(RunOp(kind, {Floats({n}, a), Floats({n}, b)}));
}

std::vector<double> BinaryInt(std::string_view kind, const std::vector<int64_t>& a,
                              const std::vector<int64_t>& b,
                              ElementType element = ElementType::kI64) {
  const auto n = static_cast<int64_t>(a.size());
  return Values(RunOp(kind, {Ints({n}, a, element), Ints({n}, b, element)}));
}

TEST(ElementwiseTest, RoundTakesTiesToEven) {
  EXPECT_THAT(Unary("round", {0.5, 1.5, 2.5, -0.5, -1.5, 2.4, 2.6}),
              ElementsAre(0, 2, 2, 0, -2, 2, 3));
}

TEST(ElementwiseTest, RoundToFloatKeepsSoManyBits) {
  const AttributeMap e4m3 = {
      {"mantissa_bits", int64_t{3}}, {"min_exponent", int64_t{-6}}, {"max_exponent", int64_t{8}}};
  // Ties go to even; below 2^-6 the step stays 2^-9, from 2^8 on it stays 2^5.
  EXPECT_THAT(
      Unary("round_to_float", {0.3, -17, 19, 1.999, 0.001, 0.0009, 464, 1000, 0, kInf, kNan}, e4m3),
      ElementsAre(0.3125, -16, 20, 2, 0x1p-9, 0, 448, 992, 0, kInf, IsNan()));
  const AttributeMap powers = {
      {"mantissa_bits", int64_t{0}}, {"min_exponent", int64_t{-1}}, {"max_exponent", int64_t{-1}}};
  EXPECT_THAT(Unary("round_to_float", {0.2, 0.3, 1.4}, powers), ElementsAre(0, 0.5, 1.5));
  AttributeMap wrong = e4m3;
  wrong.insert_or_assign("mantissa_bits", int64_t{24});
  EXPECT_THAT(
      Message(RunOp("round_to_float", {Floats({1}, {1}, ElementType::kF32)}, wrong).status()),
      HasSubstr("mantissa_bits must be 0 to 23"));
}

TEST(ElementwiseTest, FloorAndCeil) {
  EXPECT_THAT(Unary("floor", {-1.5, 1.5, 2}), ElementsAre(-2, 1, 2));
  EXPECT_THAT(Unary("ceil", {-1.5, 1.5, 2}), ElementsAre(-1, 2, 2));
}

TEST(ElementwiseTest, SignAndAbs) {
  EXPECT_THAT(Unary("sign", {-3, 0, 0.5, kNan}), ElementsAre(-1, 0, 1, IsNan()));
  EXPECT_THAT(Unary("abs", {-3, 0, kInf}), ElementsAre(3, 0, kInf));
  EXPECT_THAT(Values(RunOp("sign", {Ints({2}, {200, 0}, ElementType::kU8)})), ElementsAre(1, 0));
  // The smallest value has no counterpart.
  EXPECT_THAT(Values(RunOp("abs", {Ints({2}, {-128, -5}, ElementType::kI8)})),
              ElementsAre(-128, 5));
}

TEST(ElementwiseTest, IntegersWrap) {
  EXPECT_THAT(BinaryInt("add", {250}, {10}, ElementType::kU8), ElementsAre(4));
  EXPECT_THAT(BinaryInt("sub", {0}, {1}, ElementType::kU16), ElementsAre(65535));
  EXPECT_THAT(BinaryInt("mul", {100}, {2}, ElementType::kI8), ElementsAre(-56));
}

TEST(ElementwiseTest, IntegerDivisionTruncatesAndSurvivesZero) {
  EXPECT_THAT(BinaryInt("div", {7, -7, 7, -7, 5}, {2, 2, -2, -2, 0}), ElementsAre(3, -3, -3, 3, 0));
  const int64_t smallest = std::numeric_limits<int32_t>::min();
  EXPECT_THAT(BinaryInt("div", {smallest}, {-1}, ElementType::kI32),
              ElementsAre(static_cast<double>(smallest)));
}

TEST(ElementwiseTest, UnsignedDivisionUsesAll64Bits) {
  // 2^64 - 1 over 2.
  EXPECT_THAT(BinaryInt("div", {-1}, {2}, ElementType::kU64), ElementsAre(9223372036854775807.0));
  EXPECT_THAT(BinaryInt("greater", {-1}, {1}, ElementType::kU64), ElementsAre(1));
}

TEST(ElementwiseTest, RemHasTheSignOfTheDividend) {
  EXPECT_THAT(BinaryInt("rem", {7, -7, 7, -7, 3}, {3, 3, -3, -3, 0}), ElementsAre(1, -1, 1, -1, 0));
  EXPECT_THAT(Binary("rem", {5.5, -5.5}, {2, 2}), ElementsAre(1.5, -1.5));
}

TEST(ElementwiseTest, ModHasTheSignOfTheDivisor) {
  EXPECT_THAT(BinaryInt("mod", {7, -7, 7, -7, 3}, {3, 3, -3, -3, 0}), ElementsAre(1, 2, -2, -1, 0));
  EXPECT_THAT(Binary("mod", {5.5, -5.5, 5.5}, {2, 2, -2}), ElementsAre(1.5, 0.5, -0.5));
}

TEST(ElementwiseTest, MinAndMaxPassNanOn) {
  EXPECT_THAT(Binary("min", {1, kNan, 1}, {2, 1, kNan}), ElementsAre(1, IsNan(), IsNan()));
  EXPECT_THAT(Binary("max", {1, kNan, 1}, {2, 1, kNan}), ElementsAre(2, IsNan(), IsNan()));
  EXPECT_THAT(Unary("relu", {-1, 2, kNan}), ElementsAre(0, 2, IsNan()));
}

TEST(ElementwiseTest, IntegerPow) {
  EXPECT_THAT(BinaryInt("pow", {2, -3, 0, 5, 2, 1, -1}, {10, 3, 0, 1, -1, -5, -3}),
              ElementsAre(1024, -27, 1, 5, 0, 1, -1));
}

TEST(ElementwiseTest, ShiftsBeyondTheWidthGiveZero) {
  EXPECT_THAT(BinaryInt("shift_left", {1, 129, 1}, {3, 1, 8}, ElementType::kU8),
              ElementsAre(8, 2, 0));
  EXPECT_THAT(BinaryInt("shift_right", {-8, -8, -8}, {1, 64, -1}), ElementsAre(-4, 0, 0));
  EXPECT_THAT(BinaryInt("shift_right", {-8}, {60}, ElementType::kU64), ElementsAre(15));
}

TEST(ElementwiseTest, BitsAndLogic) {
  EXPECT_THAT(BinaryInt("bitwise_and", {12}, {10}), ElementsAre(8));
  EXPECT_THAT(BinaryInt("bitwise_or", {12}, {10}), ElementsAre(14));
  EXPECT_THAT(BinaryInt("bitwise_xor", {12}, {10}), ElementsAre(6));
  EXPECT_THAT(Values(RunOp("bitwise_not", {Ints({1}, {5}, ElementType::kU8)})), ElementsAre(250));
  EXPECT_THAT(Values(RunOp("not", {Bools({2}, {0, 1})})), ElementsAre(1, 0));
  const Tensor a = Bools({4}, {0, 0, 1, 1});
  const Tensor b = Bools({4}, {0, 1, 0, 1});
  EXPECT_THAT(Values(RunOp("and", {a, b})), ElementsAre(0, 0, 0, 1));
  EXPECT_THAT(Values(RunOp("or", {a, b})), ElementsAre(0, 1, 1, 1));
  EXPECT_THAT(Values(RunOp("xor", {a, b})), ElementsAre(0, 1, 1, 0));
  EXPECT_THAT(Values(RunOp("equal", {a, b})), ElementsAre(1, 0, 0, 1));
}

TEST(ElementwiseTest, ComparisonsWithNanAreFalse) {
  EXPECT_THAT(Binary("less_equal", {1, 2, kNan}, {2, 2, 2}), ElementsAre(1, 1, 0));
  EXPECT_THAT(Binary("greater_equal", {1, 2, kNan}, {2, 2, 2}), ElementsAre(0, 1, 0));
  EXPECT_THAT(Binary("not_equal", {1, kNan}, {1, kNan}), ElementsAre(0, 1));
}

TEST(ElementwiseTest, IsInfTellsTheSigns) {
  const std::vector<double> x = {-kInf, kInf, 1, kNan};
  EXPECT_THAT(Unary("is_inf", x), ElementsAre(1, 1, 0, 0));
  EXPECT_THAT(Unary("is_inf", x, {{"detect_negative", false}}), ElementsAre(0, 1, 0, 0));
  EXPECT_THAT(Unary("is_inf", x, {{"detect_positive", false}}), ElementsAre(1, 0, 0, 0));
  EXPECT_THAT(Unary("is_inf", x, {{"detect_negative", false}, {"detect_positive", false}}),
              ElementsAre(0, 0, 0, 0));
  EXPECT_THAT(Unary("is_nan", x), ElementsAre(0, 0, 0, 1));
}

TEST(ElementwiseTest, ClipOnFloats) {
  EXPECT_THAT(Unary("clip", {-5, 0.5, 5}, {{"min", -1.0}, {"max", 1.0}}), ElementsAre(-1, 0.5, 1));
  EXPECT_THAT(Unary("clip", {-5, 5}), ElementsAre(-5, 5));
  // A lower bound above the upper one: the upper one wins.
  EXPECT_THAT(Unary("clip", {-5, 5}, {{"min", 3.0}, {"max", 1.0}}), ElementsAre(1, 1));
  EXPECT_THAT(ErrorOf(RunOp("clip", {Floats({1}, {0})}, {{"min", kNan}})), HasSubstr("NaN"));
}

TEST(ElementwiseTest, ClipOnIntegersRoundsBoundsInwardsAndLimitsThem) {
  const Tensor x = Ints({3}, {0, 100, 255}, ElementType::kU8);
  EXPECT_THAT(Values(RunOp("clip", {x}, {{"min", 9.5}, {"max", 200.5}})),
              ElementsAre(10, 100, 200));
  EXPECT_THAT(Values(RunOp("clip", {x}, {{"min", -7.0}, {"max", 1e9}})), ElementsAre(0, 100, 255));
  EXPECT_THAT(Values(RunOp("clip", {x}, {{"min", 1e9}})), ElementsAre(255, 255, 255));
}

TEST(ElementwiseTest, CastTruncatesAndSaturates) {
  const Tensor x = Floats({5}, {-1.9, 1.9, 300, -300, kNan});
  EXPECT_THAT(Values(RunOp("cast", {x}, {{"to", ElementType::kI8}})),
              ElementsAre(-1, 1, 127, -128, 0));
  EXPECT_THAT(Values(RunOp("cast", {x}, {{"to", ElementType::kBool}})), ElementsAre(1, 1, 1, 1, 1));
  EXPECT_THAT(Values(RunOp("cast", {Ints({2}, {300, -1})}, {{"to", ElementType::kU8}})),
              ElementsAre(44, 255));
  EXPECT_THAT(Values(RunOp("cast", {Floats({1}, {0.1})}, {{"to", ElementType::kF16}})),
              ElementsAre(0.0999755859375));
}

TEST(ElementwiseTest, ActivationsAtKnownPoints) {
  EXPECT_THAT(Unary("leaky_relu", {-2, 3}, {{"alpha", 0.5}}), ElementsAre(-1, 3));
  EXPECT_THAT(Unary("thresholded_relu", {0.5, 1, 1.5}), ElementsAre(0, 0, 1.5));
  EXPECT_THAT(Unary("hard_sigmoid", {-5, 0, 1, 5}), ElementsAre(0, 0.5, 0.7, 1));
  EXPECT_THAT(Unary("hard_swish", {-4, 0, 3}), ElementsAre(0, 0, 3));
  EXPECT_THAT(Unary("softsign", {-3, 1}), ElementsAre(-0.75, 0.5));
  EXPECT_THAT(Unary("shrink", {-2, 0.5, 2}, {{"lambd", 1.0}, {"bias", 0.25}}),
              ElementsAre(-1.75, 0, 1.75));
  EXPECT_THAT(Values(RunOp("prelu", {Floats({2}, {-2, 3}), Floats({1}, {0.25})})),
              ElementsAre(-0.5, 3));
}

TEST(ElementwiseTest, SmoothActivationsAgreeWithTheirEquations) {
  const double e = std::exp(1);
  const auto near = [](double value) { return DoubleNear(value, 1e-12); };
  EXPECT_THAT(Unary("elu", {-1, 2}), ElementsAre(near(1 / e - 1), near(2)));
  EXPECT_THAT(Unary("celu", {-1, 2}, {{"alpha", 2.0}}),
              ElementsAre(near(2 * (std::exp(-0.5) - 1)), near(2)));
  EXPECT_THAT(Unary("selu", {-1, 2}),
              ElementsAre(near(1.05070102214813232421875 * 1.67326319217681884765625 * (1 / e - 1)),
                          near(2 * 1.05070102214813232421875)));
  EXPECT_THAT(Unary("softplus", {0, 1}), ElementsAre(near(std::log(2)), near(std::log(1 + e))));
  EXPECT_THAT(Unary("mish", {1}), ElementsAre(near(0.8650983882673103)));
  EXPECT_THAT(Unary("silu", {1}), ElementsAre(near(e / (1 + e))));
  EXPECT_THAT(Unary("gelu", {1}), ElementsAre(near(0.8413447460685429)));
  EXPECT_THAT(Unary("gelu", {1}, {{"approximate", "tanh"}}), ElementsAre(near(0.8411919906082768)));
}

TEST(ElementwiseTest, ActivationsDoNotOverflow) {
  EXPECT_THAT(Unary("softplus", {-1000, 1000}), ElementsAre(0, 1000));
  EXPECT_THAT(Unary("mish", {1000}), ElementsAre(1000));
  EXPECT_THAT(Unary("silu", {-1000, 1000}), ElementsAre(0, 1000));
  EXPECT_THAT(Unary("sigmoid", {-1000, 1000}), ElementsAre(0, 1));
  EXPECT_THAT(Unary("elu", {1000}), ElementsAre(1000));
}

TEST(ElementwiseTest, OperandsBroadcast) {
  const auto sum = RunOp("add", {Floats({2, 1}, {10, 20}), Floats({3}, {1, 2, 3})});
  EXPECT_THAT(ShapeOf(sum), ElementsAre(2, 3));
  EXPECT_THAT(Values(sum), ElementsAre(11, 12, 13, 21, 22, 23));
  EXPECT_THAT(ShapeOf(RunOp("add", {Floats({}, {1}), Floats({}, {2})})), ElementsAre());
  EXPECT_THAT(ShapeOf(RunOp("add", {Floats({0, 3}, {}), Floats({1, 1}, {2})})), ElementsAre(0, 3));
  EXPECT_THAT(ErrorOf(RunOp("add", {Floats({2}, {1, 2}), Floats({3}, {1, 2, 3})})),
              HasSubstr("add: shapes [2] and [3] do not broadcast"));
}

TEST(ElementwiseTest, WhereBroadcastsAllThree) {
  const auto result = RunOp("where", {Bools({2, 1}, {1, 0}), Floats({2}, {1, 2}), Floats({}, {9})});
  EXPECT_THAT(ShapeOf(result), ElementsAre(2, 2));
  EXPECT_THAT(Values(result), ElementsAre(1, 2, 9, 9));
}

TEST(ElementwiseTest, RefusesWrongElementTypes) {
  const Tensor f = Floats({1}, {1});
  const Tensor i = Ints({1}, {1});
  const Tensor b = Bools({1}, {1});
  EXPECT_THAT(ErrorOf(RunOp("add", {f, i})), HasSubstr("add: operands must have the same element"));
  EXPECT_THAT(ErrorOf(RunOp("add", {b, b})), HasSubstr("a must be of a numeric type"));
  EXPECT_THAT(ErrorOf(RunOp("exp", {i})), HasSubstr("x must be of a float type"));
  EXPECT_THAT(ErrorOf(RunOp("and", {i, i})), HasSubstr("a must be of bool type"));
  EXPECT_THAT(ErrorOf(RunOp("bitwise_and", {f, f})), HasSubstr("a must be of an integer type"));
  EXPECT_THAT(ErrorOf(RunOp("where", {f, f, f})), HasSubstr("condition must be of bool type"));
  EXPECT_THAT(ErrorOf(RunOp("where", {b, f, i})), HasSubstr("same element type"));
  EXPECT_THAT(ErrorOf(RunOp("gelu", {f}, {{"approximate", "erf"}})),
              HasSubstr("approximate must be one of none, tanh, found \"erf\""));
  EXPECT_THAT(ErrorOf(RunOp("celu", {f}, {{"alpha", 0.0}})), HasSubstr("alpha must not be 0"));
}

TEST(ElementwiseTest, KeepsTheLayoutOfItsOperands) {
  const Layout blocked{{}, {{1, 8}}};
  Module module;
  Builder builder(module.AddFunction("test"));
  const auto x = builder.Input("x", {ElementType::kF32, {1, 12, 2, 2}, blocked});
  const auto y = builder.Input("y", {ElementType::kF32, {1, 12, 2, 2}});
  const auto bias = builder.Input("bias", {ElementType::kF32, {12, 1, 1}});
  EXPECT_EQ((*builder.Make("relu", {x}))->type().layout, blocked);
  EXPECT_EQ((*builder.Make("add", {x, bias}))->type().layout, blocked);
  EXPECT_TRUE((*builder.Make("add", {x, y}))->type().layout.IsRowMajor());
}

// Against the definition of broadcasting, element by element; rows longer than a block of the
// evaluation included.
TEST(ElementwiseTest, BroadcastsEveryOperandOverEveryDimension) {
  struct Case {
    Shape a, b, result;
  };
  const Case cases[] = {{{2, 3, 4}, {2, 3, 4}, {2, 3, 4}},
                        {{4, 3, 5, 5}, {4, 1, 1, 1}, {4, 3, 5, 5}},
                        {{2, 3, 4}, {3, 1}, {2, 3, 4}},
                        {{2, 3, 4}, {4}, {2, 3, 4}},
                        {{2, 1, 4}, {3, 1}, {2, 3, 4}},
                        {{1}, {2, 2}, {2, 2}},
                        {{}, {3}, {3}},
                        {{}, {}, {}},
                        {{3, 1000}, {3, 1}, {3, 1000}},
                        {{2, 1, 1, 1}, {1, 1, 7}, {2, 1, 1, 7}},
                        {{0, 3}, {1, 3}, {0, 3}},
                        {{1, 2, 1, 2}, {2, 1, 2, 1}, {2, 2, 2, 2}}};
  for (const Case& c : cases) {
    const auto iota = [](const Shape& shape, double scale) {
      std::vector<double> values(static_cast<size_t>(ElementCount(shape)));
      for (size_t i = 0; i < values.size(); ++i) values[i] = scale * static_cast<double>(i + 1);
      return values;
    };
    const std::vector<double> a = iota(c.a, 1), b = iota(c.b, 0.25);
    const auto result = RunOp("sub", {Floats(c.a, a), Floats(c.b, b)});
    ASSERT_EQ(ShapeOf(result), c.result);
    for (Index index(c.result); index.valid(); index.Next()) {
      ASSERT_EQ(result->GetDouble(index.linear()),
                a[BroadcastOffset(c.a, index.values())] - b[BroadcastOffset(c.b, index.values())])
          << FormatInts(c.a) << " and " << FormatInts(c.b) << " at " << index.linear();
    }
  }
}

// What constant folding computes on bytes is what the oracle computes on arrays, in every element
// type.
TEST(ElementwiseTest, TensorsAndArraysGiveTheSame) {
  for (const ElementType element :
       {ElementType::kF32, ElementType::kF64, ElementType::kF16, ElementType::kBF16,
        ElementType::kI8, ElementType::kU32, ElementType::kI64}) {
    Module module;
    Builder builder(module.AddFunction("test"));
    const Tensor a = Tensor::FromDoubles(element, {2, 3}, {1.5, -2, 100, 7.25, 0.1, 3});
    const Tensor b = Tensor::FromDoubles(element, {3}, {2, 0.3, 50});
    const auto x = builder.Constant(a), y = builder.Constant(b);
    for (const char* const kind : {"add", "sub", "mul", "div", "max", "rem"}) {
      const auto op = builder.Make(kind, {x, y});
      ASSERT_TRUE(op.ok()) << op.status();
      const Tensor* const tensors[] = {&a, &b};
      const auto result = EvaluateElementwise(**op, tensors);
      ASSERT_TRUE(result.ok()) << result.status();
      const Array arrays[] = {Array::FromTensor(a), Array::FromTensor(b)};
      const Array* const pointers[] = {&arrays[0], &arrays[1]};
      Array expected((*op)->element(), (*op)->shape());
      ASSERT_TRUE((*op)->def().evaluate(**op, pointers, expected).ok());
      EXPECT_EQ(*result, expected.ToTensor()) << kind << " " << Name(element);
    }
  }
}

}  // namespace
}  // namespace kiln
