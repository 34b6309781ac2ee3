#include "ir/eval/interpreter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "ir/graph/builder.h"
#include "ir/graph/parser.h"

namespace kiln {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

Array Floats(const std::vector<double>& values) {
  return Array::FromTensor(
      Tensor::FromDoubles(ElementType::kF32, {static_cast<int64_t>(values.size())}, values));
}

StatusOr<std::vector<Array>> RunText(const std::string& text, const std::vector<Array>& inputs,
                                     Rounding rounding = Rounding::kNone) {
  const auto module = ParseModule("module \"m\" {" + text + "}");
  if (!module.ok()) return module.status();
  return Interpret(*(*module)->functions()[0], inputs, rounding);
}

TEST(InterpreterTest, RunsOpsInOrder) {
  const auto result = RunText(
      "parameter \"p\" : f32[2] = dense([10,20])"
      "func @f(%x: f32[2], %y: f32[2]) -> (\"a\": %sum, \"x\": %x, \"a again\": %sum) {"
      "  %p = parameter() {name=\"p\"} : f32[2]"
      "  %k = constant() {value=f32[] dense([2])} : f32[]"
      "  %t = mul(%y, %k) : f32[2]"
      "  %unused = exp(%t) : f32[2]"
      "  %u = add(%x, %t) : f32[2]"
      "  %sum = add(%u, %p) : f32[2]"
      "}",
      {Floats({1, 2}), Floats({3, 4})});
  ASSERT_TRUE(result.ok()) << Message(result.status());
  ASSERT_EQ(result->size(), 3u);
  EXPECT_THAT((*result)[0].floats, ElementsAre(17, 30));
  EXPECT_THAT((*result)[1].floats, ElementsAre(1, 2));
  EXPECT_THAT((*result)[2].floats, ElementsAre(17, 30));
}

TEST(InterpreterTest, RunsFusionBodies) {
  const auto result = RunText(
      "func @f(%x: f32[2], %y: f32[2]) -> (\"z\": %f) {"
      "  %f = fusion(%y, %x) : f32[2] { (%a: f32[2], %b: f32[2])"
      "    %d = sub(%a, %b) : f32[2]"
      "    %g = fusion(%d) : f32[2] { (%q: f32[2]) %n = neg(%q) : f32[2] -> %n }"
      "    -> %g }"
      "}",
      {Floats({1, 2}), Floats({5, 5})});
  ASSERT_TRUE(result.ok()) << Message(result.status());
  EXPECT_THAT((*result)[0].floats, ElementsAre(-4, -3));
}

TEST(InterpreterTest, RoundsEveryResultAsTold) {
  // 1/3 lies between two floats, 1 is one; below a power of two floats lie closer.
  const auto at = [](double x, Rounding rounding, const std::string& op = "reciprocal") {
    const auto result =
        RunText("func @f(%x: f32[1]) -> (\"y\": %r) { %r = " + op + "(%x) : f32[1] }",
                {Floats({x})}, rounding);
    return result.ok() ? (*result)[0].floats[0] : std::nan("");
  };
  const double third = static_cast<double>(1.0F / 3);
  EXPECT_EQ(at(3, Rounding::kNone), 1.0 / 3);
  EXPECT_EQ(at(3, Rounding::kElementType), third);
  EXPECT_EQ(at(3, Rounding::kUp), third);
  EXPECT_EQ(at(3, Rounding::kDown), third - std::ldexp(1, -25));
  EXPECT_EQ(at(-3, Rounding::kUp), -third + std::ldexp(1, -25));
  EXPECT_EQ(at(-3, Rounding::kDown), -third);
  EXPECT_EQ(at(4, Rounding::kUp), 0.25);
  EXPECT_EQ(at(4, Rounding::kDown), 0.25);
  EXPECT_EQ(at(-1e-9, Rounding::kElementType, "exp"), 1);
  EXPECT_EQ(at(-1e-9, Rounding::kDown, "exp"), 1 - std::ldexp(1, -24));
}

TEST(InterpreterTest, ChecksTheInputs) {
  const std::string text = "func @f(%x: f32[2]) -> (\"y\": %x) {}";
  EXPECT_EQ(Message(RunText(text, {}).status()), "@f has 1 inputs, found 0");
  EXPECT_EQ(Message(RunText(text, {Floats({1, 2, 3})}).status()),
            "input 'x' is f32[2], found f32[3]");
  const Array ints = Array::FromTensor(Tensor::FromInts(ElementType::kI32, {2}, {1, 2}));
  EXPECT_EQ(Message(RunText(text, {ints}).status()), "input 'x' is f32[2], found i32[2]");
}

TEST(InterpreterTest, UnknownTensorsAreNamed) {
  const std::string content = "file(\"0123456789abcdef0123456789abcdef\")";
  EXPECT_THAT(
      Message(RunText("parameter \"w\" : f32[99] = " + content +
                          "func @f() -> (\"y\": %p) { %p = parameter() {name=\"w\"} : f32[99]}",
                      {})
                  .status()),
      StartsWith("%p: the values of parameter 'w' are unknown (f32[99], content hash 0123"));
  EXPECT_THAT(Message(RunText("func @f() -> (\"y\": %c) { %c = constant() {value=f32[99] " +
                                  content + "} : f32[99]}",
                              {})
                          .status()),
              StartsWith("%c: the values of the constant are unknown"));
}

TEST(InterpreterTest, RefusesValuesThatCannotBeHeld) {
  EXPECT_THAT(
      Message(RunText("func @f(%x: f32[]) -> (\"y\": %b) {"
                      "%b = broadcast(%x) {shape=[1000000,1000000]} : f32[1000000,1000000]}",
                      {Array(ElementType::kF32, {})})
                  .status()),
      HasSubstr("%b: broadcast: f32[1000000,1000000] is too large to interpret"));
}

}  // namespace
}  // namespace kiln
