#include "tests/support/child_process.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <csignal>

namespace kiln {
namespace {

TEST(CheckInChildTest, GivesWhatTheCheckGives) {
  EXPECT_EQ(CheckInChild([] { return std::nullopt; }, 60), std::nullopt);
  const std::string much(100'000, 'x');
  EXPECT_EQ(CheckInChild([&] { return much; }, 60), much);
}

TEST(CheckInChildTest, ADeadOrEndlessChildIsAFailure) {
  const auto dies = []() -> std::optional<std::string> {
    raise(SIGKILL);
    return std::nullopt;
  };
  EXPECT_EQ(CheckInChild(dies, 60), "killed by signal: Killed");
  const auto exits = []() -> std::optional<std::string> { _exit(7); };
  EXPECT_EQ(CheckInChild(exits, 60), "exit status 7");
  const auto hangs = []() -> std::optional<std::string> {
    const volatile bool forever = true;
    while (forever) {
    }
    return std::nullopt;
  };
  EXPECT_EQ(CheckInChild(hangs, 1), "killed by signal: Killed");
}

}  // namespace
}  // namespace kiln
