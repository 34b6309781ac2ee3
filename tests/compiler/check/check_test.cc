// The backend cases that ONNX ships (Debian's libonnx-testdata), through the importer and the
// reference interpreter: none fails, and at least as many pass as are known to.
#include "compiler/check/check.h"

#include <gtest/gtest.h>

#include <filesystem>

namespace kiln {
namespace {

constexpr char kData[] = "/usr/share/libonnx-testdata/data/";

struct Counts {
  int passed = 0, failed = 0, skipped = 0;
};

void RunFolder(const std::string& folder, Counts* counts) {
  const auto cases = FindCases(kData + folder);
  ASSERT_TRUE(cases.ok()) << cases.status();
  for (const CheckCase& check_case : *cases) {
    const CheckResult result = RunCase(check_case, ExecuteReference, Tolerance());
    const std::string line = ResultLine(check_case.name, result);
    std::printf("%s\n", line.c_str());
    counts->passed += result.verdict == CheckResult::Verdict::kPass;
    counts->skipped += result.verdict == CheckResult::Verdict::kSkip;
    if (result.verdict == CheckResult::Verdict::kFail) {
      ++counts->failed;
      ADD_FAILURE() << line;
    }
  }
}

class OnnxCases : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(kData)) GTEST_SKIP() << "libonnx-testdata is not installed";
  }
};

TEST_F(OnnxCases, Node) {
  Counts counts;
  RunFolder("node", &counts);
  EXPECT_GE(counts.passed, 890);
}

TEST_F(OnnxCases, Models) {
  Counts counts;
  for (const char* const folder : {"pytorch-converted", "pytorch-operator", "simple"}) {
    RunFolder(folder, &counts);
  }
  EXPECT_GE(counts.passed, 134);
}

}  // namespace
}  // namespace kiln
