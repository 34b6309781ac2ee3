#include "passes/pass_manager.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ir/graph/parser.h"
#include "ir/graph/printer.h"
#include "passes/graph/graph_passes.h"
#include "passes/pipeline.h"
#include "passes/rewrite.h"

namespace kiln {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Three relus twice over: three rewrites for simplify-algebra.
constexpr char kRelus[] = R"(
module "m" {
  func @f(%x: f32[4], %z: f32[4]) -> ("a": %a2, "b": %b2, "c": %c2) {
    %a = relu(%x) : f32[4] loc("a")
    %a2 = relu(%a) : f32[4] loc("a2")
    %b = relu(%z) : f32[4] loc("b")
    %b2 = relu(%b) : f32[4] loc("b:2", "other")
    %s = add(%x, %z) : f32[4] loc("s")
    %c = relu(%s) : f32[4] loc("c")
    %c2 = relu(%c) : f32[4] loc("c2")
  }
}
)";

std::unique_ptr<Module> Parse(const std::string& text) {
  auto module = ParseModule(text);
  EXPECT_TRUE(module.ok()) << Message(module.status());
  return *std::move(module);
}

// How many rewrites simplify-algebra makes of kRelus.
int64_t Rewrites(RewriteOptions rewrites) {
  const auto module = Parse(kRelus);
  PassManager manager({SimplifyAlgebra()}, {.rewrites = std::move(rewrites)});
  EXPECT_TRUE(manager.Run(*module).ok());
  return manager.reports()[0].rewrites;
}

TEST(PassManager, CountsAndTimes) {
  const auto module = Parse(kRelus);
  PassManager manager({SimplifyAlgebra(), EliminateDeadCode()});
  ASSERT_TRUE(manager.Run(*module).ok());
  ASSERT_EQ(manager.reports().size(), 2u);
  EXPECT_EQ(manager.reports()[0].rewrites, 3);
  EXPECT_TRUE(manager.reports()[0].changed);
  EXPECT_FALSE(manager.reports()[1].changed);
  EXPECT_THAT(manager.TimingTable(), HasSubstr("3  simplify-algebra\n"));
}

TEST(PassManager, RewritesCanBeLimited) {
  EXPECT_EQ(Rewrites({.limit = 0}), 0);
  EXPECT_EQ(Rewrites({.limit = 2}), 2);
  EXPECT_EQ(Rewrites({.limit = 9}), 3);
}

TEST(PassManager, RewritesCanBeDisabled) {
  EXPECT_EQ(Rewrites({.disabled = {"simplify-algebra"}}), 0);
  EXPECT_EQ(Rewrites({.disabled = {"idempotent"}}), 0);
  EXPECT_EQ(Rewrites({.disabled = {"idempotent:a2"}}), 2);
  EXPECT_EQ(Rewrites({.disabled = {"idempotent:b:2"}}), 2);  // a source name may hold a colon
  EXPECT_EQ(Rewrites({.disabled = {"simplify-algebra:other", "idempotent:c2"}}), 1);
  EXPECT_EQ(Rewrites({.disabled = {"add-chain", "fuse-conv-relu"}}), 3);
}

TEST(PassManager, UnknownNamesAreErrors) {
  const auto module = Parse(kRelus);
  const auto error = [&](PassOptions options) {
    return Message(PassManager(InferencePipeline(), std::move(options)).Run(*module));
  };
  EXPECT_EQ(error({.rewrites = {.disabled = {"no-such-rule:x"}}}),
            "there is no pass or rewrite rule 'no-such-rule' to disable");
  EXPECT_EQ(error({.print_after = "no-such-pass"}),
            "there is no pass 'no-such-pass' to print after");
  EXPECT_EQ(Message(ParsePassList("fold-constants,nope").status()), "there is no pass 'nope'");
}

// What the manager prints while it runs the pipeline on kRelus.
std::vector<std::string> Printed(const std::string& print_after, bool diff) {
  std::vector<std::string> printed;
  PassOptions options;
  options.print_after = print_after;
  options.diff = diff;
  options.print = [&](std::string_view text) { printed.emplace_back(text); };
  const auto module = Parse(kRelus);
  EXPECT_TRUE(PassManager(InferencePipeline(), options).Run(*module).ok());
  return printed;
}

TEST(PassManager, PrintsAfterOnePassOrAll) {
  EXPECT_EQ(Printed("", false).size(), 0u);
  EXPECT_EQ(Printed("fold-batch-norm", false).size(), 1u);
  EXPECT_THAT(Printed("fold-batch-norm", false)[0], HasSubstr("// after fold-batch-norm\nmodule"));
  EXPECT_EQ(Printed("all", false).size(), InferencePipeline().size());
}

TEST(PassManager, DiffsShowWhatChanged) {
  EXPECT_THAT(Printed("simplify-algebra", true),
              ElementsAre(HasSubstr("-    %a2 = relu(%a) : f32[4] loc(\"a2\")\n")));
  // simplify-algebra and then fuse-elementwise change kRelus, the others print nothing.
  EXPECT_THAT(Printed("", true), ElementsAre(HasSubstr("// changed by simplify-algebra\n@@"),
                                             HasSubstr("// changed by fuse-elementwise\n@@")));
}

// A pass with a wrong law, relu(x) = x, between right ones.
Pass WrongPass() {
  static const auto* const rules = new std::vector<RewriteRule>{
      {"right", "relu(relu(x)) = relu(x)",
       [](RewriteSite& at) -> StatusOr<Op*> {
         const bool match = at.op().Is("relu") && at.operand(0)->Is("relu");
         return match ? at.operand(0) : kNoMatch;
       }},
      {"wrong", "relu(x + y) = x + y",
       [](RewriteSite& at) -> StatusOr<Op*> {
         const bool match = at.op().Is("relu") && at.operand(0)->Is("add");
         return match ? at.operand(0) : kNoMatch;
       }},
  };
  return MakeRewritePass("wrong-pass", "a wrong pass", *rules);
}

TEST(PassManager, VerifyingFindsTheWrongRewrite) {
  std::string printed;
  PassOptions options;
  options.verify_numbers = true;
  options.print = [&](std::string_view text) { printed += text; };
  const auto module = Parse(kRelus);
  PassManager manager({EliminateDeadCode(), WrongPass()}, options);
  const Status status = manager.Run(*module);
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(Message(status),
              HasSubstr("pass wrong-pass: the numbers changed: @f: output 'c' is"));
  EXPECT_THAT(Message(status),
              HasSubstr("the first wrong rewrite is wrong-pass/wrong: fired: f: relu 'c2'"));
  // Of the three rewrites before it nothing is left in the diff: without %c, %c2 was still right.
  EXPECT_THAT(printed, HasSubstr("-    %c2 = relu(%s) : f32[4] loc(\"c2\")\n"));
  EXPECT_THAT(printed, Not(HasSubstr("-    %a2")));
}

TEST(PassManager, VerifyingAcceptsThePipeline) {
  const auto module = Parse(kRelus);
  PassOptions options;
  options.verify_numbers = true;
  const Status status = PassManager(InferencePipeline(), options).Run(*module);
  EXPECT_TRUE(status.ok()) << Message(status);
}

TEST(PassManager, ARewriteThatChangesTheTypeIsAnError) {
  static const auto* const rules =
      new std::vector<RewriteRule>{{"bad", "relu(x) = 0", [](RewriteSite& at) -> StatusOr<Op*> {
                                      if (!at.op().Is("relu")) return kNoMatch;
                                      return at.b().Scalar(ElementType::kF32, 0);
                                    }}};
  const auto module = Parse(kRelus);
  const Status status = PassManager({MakeRewritePass("bad-pass", "", *rules)}).Run(*module);
  EXPECT_EQ(Message(status), "pass bad-pass: rule bad turned relu 'a' of type f32[4] into f32[]");
}

TEST(PassManager, BrokenInvariantsAreFound) {
  Pass pass{.name = "breaks", .doc = "", .rules = {}, .run = [](Module& module, PassContext&) {
              module.EraseParameter("w");
              return StatusOr<bool>(true);
            }};
  const auto module = Parse(
      "module \"m\" { parameter \"w\" : f32[1] = dense([1.0])\n"
      "func @f() -> (\"y\": %y) { %y = parameter() {name=\"w\"} : f32[1] } }");
  const Status status = PassManager({pass}, {.verify_ir = true}).Run(*module);
  EXPECT_THAT(Message(status), HasSubstr("pass breaks: @f: %y: invariant 10 is broken"));
}

// Parameters are not frozen while a model trains.
TEST(PassContext, TrainableParametersAreNotFolded) {
  const auto module = Parse(
      "module \"m\" { parameter \"v\" : f32[1] = dense([1.0])\n"
      "parameter \"w\" : f32[1] = dense([1.0])\n"
      "func @f() -> (\"y\": %y) { %v = parameter() {name=\"v\"} : f32[1]\n"
      "%w = parameter() {name=\"w\"} : f32[1]\n"
      "%y = add(%v, %w) : f32[1] } }");
  const std::string before = Print(*module);
  PassManager manager({SimplifyAlgebra(), FoldConstants(), EliminateDeadCode()},
                      {.rewrites = {.freeze_parameters = false}});
  ASSERT_TRUE(manager.Run(*module).ok());
  EXPECT_EQ(Print(*module), before);
}

TEST(Pipeline, ListsEveryPassOnce) {
  const std::string list = ListPasses();
  for (const Pass& pass : AllPasses()) {
    EXPECT_EQ(list.find(pass.name), list.rfind("\n" + pass.name) + 1) << pass.name;
    EXPECT_FALSE(pass.doc.empty()) << pass.name;
  }
  EXPECT_EQ(ParsePassList("")->size(), 0u);
  EXPECT_EQ(ParsePassList("fold-constants,simplify-algebra,fold-constants")->size(), 3u);
}

}  // namespace
}  // namespace kiln
