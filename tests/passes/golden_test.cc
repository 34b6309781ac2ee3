// Golden tests of the graph passes. Each file goldens/PASS.kir holds cases for one pass:
//
//   === TITLE                 or   === keep: WHY
//   module ...                     module ...
//   --- after
//   module ...
//   --- remarks
//   PASS/RULE: fired: ...
//
// A `keep` case is one that the pass must leave alone, with the reason in its title; every file has
// one. A golden asserts the form of the result, not that it is right, so each case is also
// executed: parsed and verified, interpreted before and after on seeded inputs and compared,
// printed and parsed again, and the pass run twice, where the second run must change nothing.
//
// KILN_UPDATE_GOLDENS=1 rewrites what stands after the `---` lines. Read the diff before you
// commit.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "ir/graph/equal.h"
#include "ir/graph/parser.h"
#include "ir/graph/printer.h"
#include "ir/graph/verifier.h"
#include "passes/numeric_check.h"
#include "passes/pass_manager.h"
#include "passes/pipeline.h"

namespace kiln {
namespace {

constexpr uint64_t kSeed = 42;

std::string Folder() { return std::string(KILN_SOURCE_DIR) + "/tests/passes/goldens/"; }

struct Case {
  std::string title, before, after, remarks;
  bool keeps() const { return title.starts_with("keep:"); }
};

struct Golden {
  std::string preamble;  // comment lines
  std::vector<Case> cases;
};

Golden ReadGolden(const std::string& path) {
  Golden golden;
  std::string* section = &golden.preamble;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("=== ")) {
      golden.cases.push_back({line.substr(4), "", "", ""});
      section = &golden.cases.back().before;
    } else if (line == "--- after") {
      section = &golden.cases.back().after;
    } else if (line == "--- remarks") {
      section = &golden.cases.back().remarks;
    } else {
      *section += line + "\n";
    }
  }
  return golden;
}

void WriteGolden(const std::string& path, const Golden& golden) {
  std::ofstream file(path);
  file << golden.preamble;
  for (const Case& c : golden.cases) {
    file << "=== " << c.title << "\n" << c.before;
    if (!c.after.empty()) file << "--- after\n" << c.after;
    if (!c.remarks.empty()) file << "--- remarks\n" << c.remarks;
  }
}

std::unique_ptr<Module> MustParse(const std::string& text) {
  auto module = ParseModule(text);
  EXPECT_TRUE(module.ok()) << Message(module.status()) << "\n" << text;
  return module.ok() ? *std::move(module) : nullptr;
}

void ExpectReadsBack(const Module& module) {
  const std::string text = Print(module);
  const auto parsed = MustParse(text);
  ASSERT_NE(parsed, nullptr);
  std::string difference;
  EXPECT_TRUE(Equal(module, *parsed, &difference)) << difference << "\n" << text;
}

void ExpectSameValues(const Module& before, const Module& after) {
  const auto expected = InterpretSeeded(before, kSeed);
  ASSERT_TRUE(expected.ok()) << Message(expected.status());
  const auto found = InterpretSeeded(after, kSeed);
  ASSERT_TRUE(found.ok()) << Message(found.status());
  const auto difference = FirstDifference(before, *expected, *found);
  EXPECT_FALSE(difference) << *difference;
}

std::string RemarkLines(const PassContext& context) {
  std::string lines;
  for (const Remark& remark : context.remarks()) lines += remark.ToString() + "\n";
  return lines;
}

// Runs `pass` on `module`; whether it says that it changed something.
bool RunPass(const Pass& pass, Module& module, std::string* remarks) {
  PassManager manager({pass}, {.verify_ir = true});
  const Status status = manager.Run(module);
  EXPECT_TRUE(status.ok()) << Message(status);
  *remarks = RemarkLines(manager.context());
  return status.ok() && manager.reports()[0].changed;
}

// Runs one case; returns it as it came out.
Case Execute(const Pass& pass, const Case& c) {
  Case result = c;
  const auto before = MustParse(c.before);
  if (before == nullptr) return result;
  const Status verified = Verify(*before);
  EXPECT_TRUE(verified.ok()) << Message(verified);
  const auto module = before->Clone();
  const bool changed = RunPass(pass, *module, &result.remarks);
  const std::string text = Print(*module);
  EXPECT_EQ(changed, text != Print(*before)) << text;
  EXPECT_EQ(changed, !c.keeps());
  result.after = changed ? text : "";
  ExpectSameValues(*before, *module);
  ExpectReadsBack(*module);
  std::string again;
  EXPECT_FALSE(RunPass(pass, *module, &again)) << "the second run changed something:\n" << again;
  EXPECT_EQ(Print(*module), text);
  return result;
}

class Goldens : public testing::TestWithParam<std::string> {};

TEST_P(Goldens, Hold) {
  const std::string path = Folder() + GetParam() + ".kir";
  const auto pass = ParsePassList(GetParam());
  ASSERT_TRUE(pass.ok()) << Message(pass.status());
  const Golden golden = ReadGolden(path);
  Golden found{golden.preamble, {}};
  bool has_keep = false;
  for (const Case& c : golden.cases) {
    SCOPED_TRACE(c.title);
    found.cases.push_back(Execute((*pass)[0], c));
    has_keep |= c.keeps();
    if (std::getenv("KILN_UPDATE_GOLDENS") != nullptr) continue;
    EXPECT_EQ(found.cases.back().after, c.after);
    EXPECT_EQ(found.cases.back().remarks, c.remarks);
  }
  EXPECT_TRUE(has_keep) << "no case that must not change";
  if (std::getenv("KILN_UPDATE_GOLDENS") != nullptr) WriteGolden(path, found);
}

// The whole pipeline, verified numerically after every pass, on every case of every pass.
TEST_P(Goldens, GoThroughThePipeline) {
  for (const Case& c : ReadGolden(Folder() + GetParam() + ".kir").cases) {
    const auto module = MustParse(c.before);
    ASSERT_NE(module, nullptr);
    PassManager manager(InferencePipeline(), {.verify_ir = true, .verify_numbers = true});
    const Status status = manager.Run(*module);
    EXPECT_TRUE(status.ok()) << c.title << ": " << Message(status);
  }
}

// Every pass has a golden: this list is of the passes, not of the files.
std::vector<std::string> PassNames() {
  std::vector<std::string> names;
  for (const Pass& pass : AllPasses()) names.push_back(pass.name);
  return names;
}

std::string TestName(const testing::TestParamInfo<std::string>& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Passes, Goldens, testing::ValuesIn(PassNames()), TestName);

TEST(GoldenFiles, EachBelongsToAPass) {
  for (const auto& entry : std::filesystem::directory_iterator(Folder())) {
    EXPECT_TRUE(ParsePassList(entry.path().stem().string()).ok()) << entry.path();
  }
}

}  // namespace
}  // namespace kiln
