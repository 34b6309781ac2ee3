#include "runtime/train/dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <filesystem>
#include <numeric>

#include "runtime/train/dataset_files.h"
#include "runtime/train/idx.h"
#include "tests/support/temporary_folder.h"

namespace kiln {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string BigEndian(uint32_t value) {
  std::string text;
  for (int shift = 24; shift >= 0; shift -= 8) text += static_cast<char>(value >> shift);
  return text;
}

std::string Idx(const std::vector<uint32_t>& shape, const std::string& bytes, char type = 8) {
  std::string text = {0, 0, type, static_cast<char>(shape.size())};
  for (const uint32_t extent : shape) text += BigEndian(extent);
  return text + bytes;
}

std::string Gzip(const std::string& text) {
  z_stream stream = {};
  deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string packed(text.size() + 100, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

std::string ErrorOf(const std::string& path, int rank) {
  const auto array = ReadIdxArray(path, rank);
  return array.ok() ? "" : std::string(array.status().message());
}

TEST(Idx, IsReadPlainAndCompressed) {
  const TemporaryFolder folder;
  const std::string text = Idx({2, 1, 3}, "abcdef");
  for (const std::string& path : {folder.Write("a", text), folder.Write("b", Gzip(text))}) {
    const auto array = ReadIdxArray(path, 3);
    ASSERT_TRUE(array.ok()) << array.status();
    EXPECT_THAT(array->shape, ElementsAre(2, 1, 3));
    EXPECT_THAT(array->bytes, ElementsAre('a', 'b', 'c', 'd', 'e', 'f'));
  }
}

TEST(Idx, NamesTheFileAndWhatIsWrong) {
  const TemporaryFolder folder;
  const std::string good = Idx({2}, "ab");
  EXPECT_THAT(ErrorOf(folder / "none", 1), HasSubstr("none"));
  EXPECT_THAT(ErrorOf(folder.Write("empty", ""), 1), HasSubstr("expected an idx file"));
  EXPECT_THAT(ErrorOf(folder.Write("floats", Idx({2}, "ab", 13)), 1),
              HasSubstr("expected an idx file of bytes in 1 dimensions"));
  EXPECT_THAT(ErrorOf(folder.Write("rank", good), 3), HasSubstr("in 3 dimensions"));
  EXPECT_THAT(ErrorOf(folder.Write("short", Idx({3}, "ab")), 1),
              HasSubstr("expected 3 bytes behind the header, found 2"));
  EXPECT_THAT(ErrorOf(folder.Write("long", Idx({1}, "ab")), 1), HasSubstr("found 2"));
  EXPECT_THAT(ErrorOf(folder.Write("huge", Idx({0xffffffff, 0xffffffff, 0xffffffff}, "ab")), 3),
              HasSubstr("has an extent that cannot be"));
  EXPECT_THAT(ErrorOf(folder.Write("zero", Idx({0}, "")), 1), HasSubstr("cannot be"));
  std::string torn = Gzip(Idx({100}, std::string(100, 'x')));
  torn.resize(torn.size() / 2);
  EXPECT_NE(ErrorOf(folder.Write("torn", torn), 1), "");
  torn[5] = 1;
  torn[12] ^= 0x55;
  EXPECT_NE(ErrorOf(folder.Write("damaged", torn), 1), "");
}

TEST(Datasets, AreAFolderOfFourFiles) {
  const TemporaryFolder folder;
  folder.Write("train-images-idx3-ubyte", Idx({3, 1, 2}, "abcdef"));
  folder.Write("train-labels-idx1-ubyte.gz", Gzip(Idx({3}, {0, 2, 1})));
  folder.Write("t10k-images-idx3-ubyte.gz", Gzip(Idx({1, 1, 2}, "gh")));
  folder.Write("t10k-labels-idx1-ubyte", Idx({1}, {2}));
  const auto split = LoadDataset("idx:" + folder.path());
  ASSERT_TRUE(split.ok()) << split.status();
  EXPECT_EQ(split->train.size(), 3);
  EXPECT_EQ(split->train.ItemCount(), 2);
  EXPECT_EQ(split->train.classes, 3);
  EXPECT_THAT(split->train.labels, ElementsAre(0, 2, 1));
  EXPECT_THAT(split->test.item_shape, ElementsAre(1, 1, 2));
  folder.Write("t10k-labels-idx1-ubyte", Idx({2}, {2, 1}));
  const auto uneven = LoadDataset("idx:" + folder.path());
  ASSERT_FALSE(uneven.ok());
  EXPECT_THAT(std::string(uneven.status().message()),
              HasSubstr("expected a label for each of 1 images, found 2"));
  EXPECT_THAT(std::string(LoadDataset("other:x").status().message()),
              HasSubstr("KIND is one of idx, "));
  EXPECT_THAT(std::string(LoadDataset("idx:/nowhere").status().message()), HasSubstr("/nowhere"));
}

TEST(Datasets, FashionMnistIsRead) {
  constexpr char kFolder[] = "/usr/share/datasets/fashion-mnist";
  if (!std::filesystem::exists(kFolder)) GTEST_SKIP() << "no dataset-fashion-mnist";
  const auto split = LoadDataset(std::string("idx:") + kFolder);
  ASSERT_TRUE(split.ok()) << split.status();
  EXPECT_EQ(split->train.size(), 60000);
  EXPECT_EQ(split->test.size(), 10000);
  EXPECT_EQ(split->train.classes, 10);
  EXPECT_THAT(split->train.item_shape, ElementsAre(1, 28, 28));
}

TEST(ShuffledOrder, IsAPermutationOfSeedAndEpoch) {
  const std::vector<int64_t> order = ShuffledOrder(1000, 1, 1);
  std::vector<int64_t> sorted = order;
  std::sort(sorted.begin(), sorted.end());
  std::vector<int64_t> all(1000);
  std::iota(all.begin(), all.end(), 0);
  EXPECT_EQ(sorted, all);
  EXPECT_NE(order, all);
  EXPECT_EQ(order, ShuffledOrder(1000, 1, 1));
  EXPECT_NE(order, ShuffledOrder(1000, 1, 2));
  EXPECT_NE(order, ShuffledOrder(1000, 2, 1));
  EXPECT_TRUE(ShuffledOrder(0, 1, 1).empty());
}

}  // namespace
}  // namespace kiln
