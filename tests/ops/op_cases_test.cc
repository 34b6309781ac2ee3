// What holds for every op, on the case files in tests/ops/cases: the cases verify, round-trip as
// text and in the native format, and run. (Values are checked by tests/ir/ops.)

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "compiler/import/kiln/native.h"
#include "ir/eval/interpreter.h"
#include "ir/graph/equal.h"
#include "ir/graph/op_def.h"
#include "tests/ir/ops/case_files.h"
#include "tests/support/arrays.h"
#include "tests/support/round_trip.h"

namespace kiln {
namespace {

void AddKinds(const Graph& graph, std::set<std::string>& kinds) {
  for (const auto& op : graph.ops()) {
    kinds.insert(op->kind());
    if (op->body() != nullptr) AddKinds(*op->body(), kinds);
  }
}

TEST(OpCasesTest, EveryOpHasOne) {
  std::set<std::string> kinds;
  for (const std::string& family : CaseFiles()) {
    const auto module = ReadCases(family);
    ASSERT_TRUE(module.ok()) << Message(module.status());
    for (const auto& graph : (*module)->functions()) AddKinds(*graph, kinds);
  }
  for (const OpDef* const def : AllOps()) EXPECT_TRUE(kinds.contains(def->name)) << def->name;
}

class OpCases : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    auto module = ReadCases(GetParam());
    ASSERT_TRUE(module.ok()) << Message(module.status());
    module_ = std::move(*module);
  }

  std::unique_ptr<Module> module_;
};

TEST_P(OpCases, RoundTripAsText) {
  const Status status = CheckTextRoundTrip(*module_);
  EXPECT_TRUE(status.ok()) << Message(status);
}

TEST_P(OpCases, RoundTripInTheNativeFormat) {
  for (const NativeForm form : {NativeForm::kBinary, NativeForm::kText}) {
    const auto bytes = SerializeNative(*module_, {.form = form});
    ASSERT_TRUE(bytes.ok()) << Message(bytes.status());
    const auto parsed = ParseNative({bytes->data(), bytes->size()}, form);
    ASSERT_TRUE(parsed.ok()) << Message(parsed.status());
    std::string difference;
    EXPECT_TRUE(Equal(*module_, **parsed, &difference)) << difference;
  }
}

TEST_P(OpCases, Run) {
  for (const auto& graph : module_->functions()) {
    const auto outputs = Interpret(*graph, RandomInputs(*graph, 1));
    ASSERT_TRUE(outputs.ok()) << "@" << graph->name() << ": " << Message(outputs.status());
    for (size_t i = 0; i < outputs->size(); ++i) {
      EXPECT_EQ((*outputs)[i].shape, graph->outputs()[i].value->shape()) << "@" << graph->name();
      EXPECT_EQ((*outputs)[i].element, graph->outputs()[i].value->element());
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Families, OpCases, testing::ValuesIn(CaseFiles()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace kiln
