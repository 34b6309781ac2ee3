// Every primitive op's lowering against its reference evaluation, on the case files: each op of
// each function in tests/ops/cases/*.kir is lowered by itself, the kernel is run by the loop
// interpreter, and the result is compared with `evaluate`. Inputs are seeded; a second round
// sprinkles NaN and infinities over the first one.
#include "tests/ir/ops/lowering.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <set>

#include "ir/eval/interpreter.h"
#include "ir/graph/op_def.h"
#include "tests/ir/ops/case_files.h"

namespace kiln {
namespace {

double Tolerance(ElementType element) {
  switch (element) {
    case ElementType::kF16: return 4e-3;
    case ElementType::kBF16: return 3e-2;
    case ElementType::kF32: return 2e-5;
    default: return 1e-12;
  }
}

void ExpectAgree(const Array& expected, const Array& found) {
  ASSERT_EQ(expected.shape, found.shape);
  for (int64_t i = 0; i < expected.count(); ++i) {
    const double e = expected.GetDouble(i), f = found.GetDouble(i);
    if (e == f || (std::isnan(e) && std::isnan(f))) continue;
    ASSERT_LE(std::abs(e - f), Tolerance(expected.element) * (1 + std::abs(e)))
        << "element " << i << ": evaluated to " << e << ", lowered to " << f;
  }
}

Array RandomArray(const TensorType& type, bool special, std::mt19937& random) {
  Array array(type.element, type.shape);
  std::uniform_real_distribution<double> real(-2, 2);
  constexpr double kInf = std::numeric_limits<double>::infinity();
  const double kSpecial[] = {std::numeric_limits<double>::quiet_NaN(), kInf, -kInf, 0.0};
  for (double& value : array.floats) {
    value =
        special && random() % 8 == 0 ? kSpecial[random() % 4] : RoundTo(type.element, real(random));
  }
  for (int64_t& value : array.ints) {
    value = WrapInt(type.element, static_cast<int64_t>(random() % 9) - 4);
  }
  return array;
}

/// Runs every op of `graph` both ways; composites are only evaluated.
void CheckGraph(const Graph& graph, bool special) {
  std::mt19937 random(graph.ops().size() + 17);
  std::map<const Op*, Array> values;
  for (const auto& op : graph.ops()) {
    SCOPED_TRACE(op->name());
    if (op->Is("input")) {
      // Weights stay finite: whether padding times infinity is NaN is left open.
      const bool first = op.get() == graph.inputs()[0];
      values.emplace(op.get(), RandomArray(op->type(), special && first, random));
      continue;
    }
    std::vector<const Array*> operands;
    for (const Op* const operand : op->operands()) operands.push_back(&values.at(operand));
    const auto expected = EvaluateOp(*op, operands);
    ASSERT_TRUE(expected.ok()) << expected.status();
    if (op->def().element || op->def().nest || op->def().stages) {
      const auto found = RunLowered(*op, operands);
      ASSERT_TRUE(found.ok()) << found.status();
      ASSERT_NO_FATAL_FAILURE(ExpectAgree(*expected, *found));
    }
    values.emplace(op.get(), *expected);
  }
}

class LoweringTest : public testing::TestWithParam<std::string> {};

TEST_P(LoweringTest, AgreesWithEvaluation) {
  const auto module = ReadCases(GetParam());
  ASSERT_TRUE(module.ok()) << module.status();
  for (const auto& graph : (*module)->functions()) {
    for (const bool special : {false, true}) {
      SCOPED_TRACE(StrCat("@", graph->name(), special ? " with special values" : ""));
      CheckGraph(*graph, special);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, LoweringTest, testing::ValuesIn(CaseFiles()),
                         [](const auto& info) { return info.param; });

TEST(CaseFilesTest, EveryOpHasACase) {
  std::set<std::string> missing;
  for (const OpDef* const def : AllOps()) {
    if (!(def->traits & (kLeaf | kRegion))) missing.insert(def->name);
  }
  for (const std::string& name : CaseFiles()) {
    const auto module = ReadCases(name);
    ASSERT_TRUE(module.ok()) << module.status();
    for (const auto& graph : (*module)->functions()) {
      for (const auto& op : graph->ops()) missing.erase(op->kind());
    }
  }
  EXPECT_THAT(missing, testing::IsEmpty());
}

// Where the reference refuses a position, compiled code stays inside its buffers.
TEST(LoweringOutOfRangeTest, GatherClampsAndScatterLeavesOut) {
  Module module;
  Builder builder(module.AddFunction("test"));
  const auto x = builder.Constant(Tensor::FromDoubles(ElementType::kF32, {3}, {1, 2, 3}));
  const auto i = builder.Constant(Tensor::FromInts(ElementType::kI64, {4}, {7, -9, 1, -1}));
  const auto u = builder.Constant(Tensor::FromDoubles(ElementType::kF32, {4}, {10, 20, 30, 40}));
  const Array data = Array::FromTensor((*x)->Constant("value"));
  const Array indices = Array::FromTensor((*i)->Constant("value"));
  const Array updates = Array::FromTensor((*u)->Constant("value"));

  const auto gathered = RunLowered(**builder.Make("gather", {x, i}), {&data, &indices});
  ASSERT_TRUE(gathered.ok()) << gathered.status();
  EXPECT_THAT(gathered->floats, testing::ElementsAre(3, 1, 2, 3));

  const auto scattered =
      RunLowered(**builder.Make("scatter_elements", {x, i, u}), {&data, &indices, &updates});
  ASSERT_TRUE(scattered.ok()) << scattered.status();
  EXPECT_THAT(scattered->floats, testing::ElementsAre(1, 30, 40));
}

}  // namespace
}  // namespace kiln
