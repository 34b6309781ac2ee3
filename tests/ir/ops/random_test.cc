// random_uniform against Philox4x32-10 written apart from it, and that against the vectors that the
// authors publish (Random123, kat_vectors).
#include <array>
#include <cstdint>

#include "tests/ir/ops/op_test_util.h"

namespace kiln {
namespace {

using Words = std::array<uint32_t, 4>;

Words Philox(Words c, uint32_t k0, uint32_t k1) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53} * c[0];
    const uint64_t p1 = uint64_t{0xCD9E8D57} * c[2];
    c = {static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ k0, static_cast<uint32_t>(p1),
         static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ k1, static_cast<uint32_t>(p0)};
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
  return c;
}

TEST(PhiloxOfTheTest, GivesThePublishedVectors) {
  EXPECT_EQ(Philox({0, 0, 0, 0}, 0, 0), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr uint32_t kOnes = 0xffffffff;
  EXPECT_EQ(Philox({kOnes, kOnes, kOnes, kOnes}, kOnes, kOnes),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(Philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0xa4093822, 0x299f31d0),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(RandomUniform, IsPhiloxOfElementStepStreamAndSeed) {
  for (const uint64_t seed : {uint64_t{0}, uint64_t{1}, uint64_t{0x299f31d0a4093822}}) {
    for (const int64_t step : {0, 7, 123456}) {
      for (const int64_t stream : {0, 5}) {
        const auto result = RunOp("random_uniform", {Ints({2}, {static_cast<int64_t>(seed), step})},
                                  {{"shape", Shape{3, 5}}, {"stream", stream}});
        const std::vector<double> values = Values(result);
        ASSERT_EQ(values.size(), 15u);
        for (uint32_t i = 0; i < 15; ++i) {
          const Words words =
              Philox({i, 0, static_cast<uint32_t>(step), static_cast<uint32_t>(stream)},
                     static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32));
          EXPECT_EQ(values[i], static_cast<double>(words[0] >> 8) / 16777216.0);
        }
      }
    }
  }
}

TEST(RandomUniform, RefusesOtherKeys) {
  EXPECT_THAT(ErrorOf(RunOp("random_uniform", {Ints({3}, {1, 2, 3})},
                            {{"shape", Shape{1}}, {"stream", 0}})),
              testing::HasSubstr("the key must be i64[2]"));
}

}  // namespace
}  // namespace kiln
