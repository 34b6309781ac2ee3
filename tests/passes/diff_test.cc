#include "passes/diff.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "ir/support/strings.h"

namespace kiln {
namespace {

TEST(UnifiedDiff, EqualTextsHaveNone) {
  EXPECT_EQ(UnifiedDiff("", ""), "");
  EXPECT_EQ(UnifiedDiff("a\nb\n", "a\nb\n"), "");
}

TEST(UnifiedDiff, ChangedLineStandsInItsContext) {
  EXPECT_EQ(UnifiedDiff("a\nb\nc\nd\ne\n", "a\nb\nX\nd\ne\n", 1),
            "@@ -2,3 +2,3 @@\n"
            " b\n"
            "-c\n"
            "+X\n"
            " d\n");
}

TEST(UnifiedDiff, FarChangesGetHunksOfTheirOwn) {
  EXPECT_EQ(UnifiedDiff("a\nb\nc\nd\ne\n", "X\nb\nc\nd\nY\n", 1),
            "@@ -1,2 +1,2 @@\n-a\n+X\n b\n"
            "@@ -4,2 +4,2 @@\n d\n-e\n+Y\n");
}

TEST(UnifiedDiff, FromNothing) { EXPECT_EQ(UnifiedDiff("", "a\n"), "@@ -0,0 +1,1 @@\n+a\n"); }

TEST(UnifiedDiff, MovedLineIsOneRemovalAndOneAddition) {
  EXPECT_EQ(UnifiedDiff("a\nb\nc\n", "b\nc\na\n", 0), "@@ -1,1 +0,0 @@\n-a\n@@ -3,0 +3,1 @@\n+a\n");
}

// Applies a diff that has the whole text as context.
std::string Apply(const std::string& diff, char drop) {
  std::string text;
  for (const std::string& line : StrSplit(diff, '\n')) {
    if (!line.empty() && line[0] != '@' && line[0] != drop) text += line.substr(1) + "\n";
  }
  return text;
}

TEST(UnifiedDiff, HoldsBothTexts) {
  std::mt19937 random(1);
  for (int round = 0; round < 300; ++round) {
    std::string before, after;
    const int alphabet = 2 + round % 20;
    for (int i = 0; i < 12; ++i) {
      before += StrCat("line", static_cast<int>(random() % alphabet), "\n");
      after += StrCat("line", static_cast<int>(random() % alphabet), "\n");
    }
    const std::string diff = UnifiedDiff(before, after, 1000);
    if (before == after) continue;
    EXPECT_EQ(Apply(diff, '+'), before);
    EXPECT_EQ(Apply(diff, '-'), after);
  }
}

}  // namespace
}  // namespace kiln
