// Every primitive op's lowering against its reference evaluation, on the case files: each op of
// each function in tests/ops/cases/*.kir is lowered by itself, the kernel is run by the loop
// interpreter, and the result is compared with `evaluate`. Inputs are seeded; a second round
// sprinkles NaN and infinities over the first one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <random>
#include <set>
#include <sstream>

#include "ir/eval/interpreter.h"
#include "ir/graph/op_def.h"
#include "ir/graph/parser.h"
#include "ir/loop/interpret.h"

namespace kiln {
namespace {

StatusOr<loop::Kernel> Lower(const Op& op) {
  NestContext context;
  loop::Kernel kernel{.name = op.kind()};
  for (const Op* const operand : op.operands()) {
    context.operands.push_back(loop::MakeBuffer("x", operand->element(), operand->shape()));
  }
  context.result = loop::MakeBuffer("y", op.element(), op.shape());
  kernel.inputs = context.operands;
  kernel.outputs = {context.result};
  if (op.def().nest) {
    KILN_ASSIGN_OR_RETURN(kernel.body, op.def().nest(op, context));
    return kernel;
  }
  std::vector<loop::Var> vars;
  std::vector<loop::Expr> index;
  for (const int64_t extent : op.shape()) {
    vars.push_back(loop::MakeVar("i", extent));
    index.push_back(vars.back());
  }
  const Reader read = [&](size_t k, const std::vector<loop::Expr>& at) {
    return context.Load(context.operands[k], at);
  };
  kernel.body = context.Store(context.result, index, op.def().element(op, read, index));
  for (size_t d = vars.size(); d-- > 0;) kernel.body = For(vars[d], kernel.body);
  return kernel;
}

StatusOr<Array> RunLowered(const Op& op, const std::vector<const Array*>& operands) {
  KILN_ASSIGN_OR_RETURN(const loop::Kernel kernel, Lower(op));
  KILN_RETURN_IF_ERROR(Verify(kernel));
  std::vector<std::vector<char>> bytes;
  for (const Array* const operand : operands) {
    const Tensor tensor = operand->ToTensor();
    bytes.emplace_back(tensor.bytes().begin(), tensor.bytes().end());
  }
  // Not zero: an element that the kernel leaves out shows.
  const TensorType type{op.element(), op.shape()};
  bytes.emplace_back(static_cast<size_t>(type.bytes()), char{0x55});
  std::vector<void*> pointers;
  for (std::vector<char>& buffer : bytes) pointers.push_back(buffer.data());
  KILN_RETURN_IF_ERROR(loop::Interpret(kernel, pointers));
  return Array::FromTensor(Tensor(type, std::move(bytes.back())));
}

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
    if (op->def().element || op->def().nest) {
      const auto found = RunLowered(*op, operands);
      ASSERT_TRUE(found.ok()) << found.status();
      ASSERT_NO_FATAL_FAILURE(ExpectAgree(*expected, *found));
    }
    values.emplace(op.get(), *expected);
  }
}

std::vector<std::string> CaseFiles() {
  std::vector<std::string> names;
  for (const auto& entry :
       std::filesystem::directory_iterator(KILN_SOURCE_DIR "/tests/ops/cases")) {
    if (entry.path().extension() == ".kir") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

StatusOr<std::unique_ptr<Module>> ReadCases(const std::string& name) {
  std::ifstream file(StrCat(KILN_SOURCE_DIR "/tests/ops/cases/", name, ".kir"));
  std::stringstream text;
  text << file.rdbuf();
  return ParseModule(text.str());
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
