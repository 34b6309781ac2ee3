#include "runtime/pages.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <utility>

namespace kiln {
namespace {

TEST(PagesTest, AreZeroedAlignedAndWritable) {
  for (const uint64_t bytes : {uint64_t{1}, uint64_t{4097}, uint64_t{5} << 20}) {
    auto pages = Pages::Map(bytes, 4096);
    ASSERT_TRUE(pages.ok());
    EXPECT_EQ(pages->size(), bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(pages->data()) % 4096, 0u);
    EXPECT_TRUE(std::all_of(pages->data(), pages->data() + bytes, [](char c) { return c == 0; }));
    std::fill_n(pages->data(), bytes, 'x');
  }
}

TEST(PagesTest, NoBytesAreNoPages) {
  auto pages = Pages::Map(0, 64);
  ASSERT_TRUE(pages.ok());
  EXPECT_EQ(pages->data(), nullptr);
}

TEST(PagesTest, MovingHandsTheBytesOver) {
  auto pages = Pages::Map(100, 64);
  ASSERT_TRUE(pages.ok());
  char* const data = pages->data();
  data[99] = 'y';
  Pages other = *std::move(pages);
  EXPECT_EQ(other.data(), data);
  Pages third;
  third = std::move(other);
  EXPECT_EQ(third.data()[99], 'y');
}

TEST(PagesTest, TooMuchIsAnError) {
  for (const uint64_t bytes : {std::numeric_limits<uint64_t>::max(), uint64_t{1} << 60}) {
    EXPECT_EQ(Pages::Map(bytes, 64).status().code(), absl::StatusCode::kResourceExhausted);
  }
}

}  // namespace
}  // namespace kiln
