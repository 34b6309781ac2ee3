#include "ir/eval/scalar.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <vector>

namespace kiln {
namespace {

const loop::Buffer kX = loop::MakeBuffer("x", ElementType::kF64, {});
const loop::Buffer kN = loop::MakeBuffer("n", ElementType::kI32, {});

TEST(ScalarProgramTest, RunsForABlockOfElements) {
  const loop::Expr x = loop::Load(kX, {});
  const loop::Expr square = x * x;
  const loop::Buffer inputs[] = {kX};
  auto program = ScalarProgram::Compile(square + square * x, inputs);
  ASSERT_TRUE(program.ok()) << program.status();
  const std::vector<double> values = {2.0, -1.0, 0.5};
  for (size_t i = 0; i < values.size(); ++i) program->input(0)[i].f = values[i];
  const Scalar* const results = program->Run(static_cast<int64_t>(values.size()));
  for (size_t i = 0; i < values.size(); ++i) {
    EXPECT_EQ(results[i].f, values[i] * values[i] + values[i] * values[i] * values[i]);
  }
}

TEST(ScalarProgramTest, SelectsAndCasts) {
  const loop::Expr n = loop::Load(kN, {});
  const loop::Expr x = loop::Load(kX, {});
  const loop::Buffer inputs[] = {kN, kX};
  auto program =
      ScalarProgram::Compile(loop::Select(loop::Lt(n, loop::ConstInt(ElementType::kI32, 0)), -x,
                                          loop::Cast(ElementType::kF64, n)),
                             inputs);
  ASSERT_TRUE(program.ok()) << program.status();
  program->input(0)[0].i = -3;
  program->input(1)[0].f = 1.5;
  program->input(0)[1].i = 4;
  program->input(1)[1].f = 1.5;
  const Scalar* const results = program->Run(2);
  EXPECT_EQ(results[0].f, -1.5);
  EXPECT_EQ(results[1].f, 4);
}

TEST(ScalarProgramTest, RefusesWhatIsNoScalarExpression) {
  const loop::Buffer inputs[] = {kN};
  EXPECT_FALSE(ScalarProgram::Compile(loop::Load(kX, {}), inputs).ok());
  EXPECT_FALSE(ScalarProgram::Compile(loop::MakeVar("i", 4), inputs).ok());
}

TEST(ScalarTest, CastsToNarrowFloatsRound) {
  const Scalar value{.f = 65519.9};
  EXPECT_EQ(ApplyCast(ElementType::kF64, ElementType::kF16, value).f, 65504);
  EXPECT_EQ(ApplyCast(ElementType::kF64, ElementType::kF32, {.f = 0.1}).f, 0.1f);
  // All bits of a u64 count.
  EXPECT_EQ(ApplyCast(ElementType::kU64, ElementType::kF64, {.i = -1}).f, 18446744073709551616.0);
}

TEST(ScalarTest, ComparisonsOfFloatsGiveBool) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(ApplyBinary(loop::BinaryOp::kLe, ElementType::kF32, {.f = 1}, {.f = 1}).i, 1);
  EXPECT_EQ(ApplyBinary(loop::BinaryOp::kGe, ElementType::kF32, {.f = nan}, {.f = 1}).i, 0);
  EXPECT_EQ(ApplyUnary(loop::UnaryOp::kIsNan, ElementType::kF32, {.f = nan}).i, 1);
}

}  // namespace
}  // namespace kiln
