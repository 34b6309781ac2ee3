#include "runtime/train/loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <set>

namespace kiln {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Images of 2 channels, 3 rows and 4 columns: item n has the numbers 24 n, 24 n + 1, ...
Dataset Images(int64_t count) {
  Dataset dataset;
  dataset.item_shape = {2, 3, 4};
  std::vector<float> values(static_cast<size_t>(24 * count));
  std::iota(values.begin(), values.end(), 0.0f);
  dataset.items = ItemsInMemory(std::move(values), 24);
  for (int64_t n = 0; n < count; ++n) dataset.labels.push_back(static_cast<int32_t>(n));
  dataset.classes = count;
  return dataset;
}

std::vector<int32_t> Labels(BatchLoader& loader, int batches) {
  std::vector<int32_t> labels;
  for (int i = 0; i < batches; ++i) {
    const auto batch = loader.Next();
    EXPECT_TRUE(batch.ok()) << batch.status();
    labels.insert(labels.end(), (*batch)->labels.begin(), (*batch)->labels.end());
  }
  return labels;
}

TEST(BatchLoader, TakesEveryItemOnceAnEpoch) {
  const Dataset dataset = Images(10);
  BatchLoader loader(dataset, {.batch = 4, .seed = 3}, 0);
  const std::vector<int32_t> labels = Labels(loader, 5);
  const std::set<int32_t> first(labels.begin(), labels.begin() + 10);
  const std::set<int32_t> second(labels.begin() + 10, labels.end());
  EXPECT_EQ(first.size(), 10u);
  EXPECT_EQ(second.size(), 10u);
  EXPECT_NE(std::vector(labels.begin(), labels.begin() + 10),
            std::vector(labels.begin() + 10, labels.end()));
}

TEST(BatchLoader, GivesTheSameAheadOrNotAndFromAnyPlace) {
  const Dataset dataset = Images(7);
  const Transform transform{.mean = {1, 2}, .scale = 0.5f, .crop = 2, .mirror = true};
  BatchLoader none(dataset, {.transform = transform, .batch = 3, .ahead = 0}, 0);
  for (const int ahead : {1, 2, 8}) {
    for (int skip = 0; skip < 3; ++skip) {
      BatchLoader all(dataset, {.transform = transform, .batch = 3, .ahead = 0}, 0);
      Labels(all, skip);
      BatchLoader loader(dataset, {.transform = transform, .batch = 3, .ahead = ahead}, 3 * skip);
      for (int i = 0; i < 20; ++i) {
        const auto expected = all.Next(), found = loader.Next();
        ASSERT_TRUE(expected.ok() && found.ok());
        EXPECT_EQ((*expected)->items, (*found)->items);
        EXPECT_EQ((*expected)->labels, (*found)->labels);
      }
    }
  }
}

TEST(BatchLoader, CropsAndMirrorsByChance) {
  const Dataset dataset = Images(1);
  const Transform transform{.crop = 2, .mirror = true};
  BatchLoader loader(dataset, {.transform = transform, .batch = 1, .shuffle = false}, 0);
  std::set<std::pair<float, bool>> corners;
  for (int i = 0; i < 500; ++i) {
    const auto batch = loader.Next();
    ASSERT_TRUE(batch.ok());
    const std::vector<float>& item = (*batch)->items;
    ASSERT_EQ(item.size(), 8u);
    const bool mirrored = item[1] < item[0];
    EXPECT_EQ(item[1] - item[0], mirrored ? -1 : 1);
    EXPECT_EQ(item[2] - item[0], 4);
    EXPECT_EQ(item[4] - item[0], 12);
    corners.emplace(std::min(item[0], item[1]), mirrored);
  }
  EXPECT_EQ(corners.size(), 12u);  // 2 rows, 3 columns, mirrored or not
}

TEST(BatchLoader, TakesTheCentreInTestsAndSubtractsBeforeItScales) {
  const Dataset dataset = Images(2);
  Batch batch;
  const Transform transform{.mean = {5, 10}, .scale = 2, .crop = 2, .mirror = true};
  ASSERT_TRUE(FillBatch(dataset, transform, {1}, batch).ok());
  EXPECT_THAT(batch.items, ElementsAre(40, 42, 48, 50, 54, 56, 62, 64));
  EXPECT_THAT(batch.labels, ElementsAre(1));
}

TEST(BatchLoader, MovesPaddedImagesAboutAndLeavesThemInPlaceInTests) {
  const Dataset dataset = Images(2);
  const Transform transform{.mean = {100}, .pad = 1};
  ASSERT_TRUE(transform.Check(dataset).ok());
  EXPECT_EQ(transform.OutputShape(dataset), dataset.item_shape);
  Batch plain, batch;
  ASSERT_TRUE(FillBatch(dataset, {.mean = {100}}, {1}, plain).ok());
  ASSERT_TRUE(FillBatch(dataset, transform, {1}, batch).ok());
  EXPECT_EQ(batch.items, plain.items);

  BatchLoader loader(dataset, {.transform = transform, .batch = 1}, 0);
  std::set<std::pair<int64_t, int64_t>> moves;
  for (int i = 0; i < 300; ++i) {
    const auto drawn = loader.Next();
    ASSERT_TRUE(drawn.ok());
    const float first = 24.0f * static_cast<float>((*drawn)->labels[0]) - 100;
    // An element in the middle is there however the image has moved, and tells by how much.
    const auto moved = static_cast<int64_t>((*drawn)->items[4 + 1] - first) - (4 + 1);
    const int64_t dy = moved >= 3 ? 1 : moved <= -3 ? -1 : 0, dx = moved - 4 * dy;
    moves.emplace(dy, dx);
    for (int64_t y = 0; y < 3; ++y) {
      for (int64_t x = 0; x < 4; ++x) {
        const bool inside = y + dy >= 0 && y + dy < 3 && x + dx >= 0 && x + dx < 4;
        const float expected = inside ? first + static_cast<float>(4 * (y + dy) + x + dx) : 0;
        EXPECT_EQ((*drawn)->items[static_cast<size_t>(4 * y + x)], expected);
      }
    }
  }
  EXPECT_EQ(moves.size(), 9u);
}

TEST(BatchLoader, CropsFromThePaddedImage) {
  const Dataset dataset = Images(1);
  EXPECT_TRUE((Transform{.crop = 5, .pad = 1}).Check(dataset).ok());
  EXPECT_THAT((Transform{.crop = 6, .pad = 1}).Check(dataset).message(),
              HasSubstr("a crop of 6 from images of 3x4 and 1 around"));
  Batch batch;
  ASSERT_TRUE(FillBatch(dataset, {.crop = 5, .pad = 1}, {0}, batch).ok());
  ASSERT_EQ(batch.items.size(), 50u);
  EXPECT_EQ(std::vector(batch.items.begin() + 5, batch.items.begin() + 10),
            (std::vector<float>{0, 0, 1, 2, 3}));
}

TEST(BatchLoader, HandsOutTargets) {
  Dataset dataset;
  dataset.item_shape = {1};
  dataset.items = ItemsInMemory(std::vector<float>{7, 8, 9}, 1);
  dataset.targets = {1, 2, 3, 4, 5, 6};
  dataset.target_count = 2;
  BatchLoader loader(dataset, {.batch = 2, .shuffle = false}, 2);
  const auto batch = loader.Next();
  ASSERT_TRUE(batch.ok());
  EXPECT_THAT((*batch)->items, ElementsAre(9, 7));
  EXPECT_THAT((*batch)->targets, ElementsAre(5, 6, 1, 2));
  EXPECT_TRUE((*batch)->labels.empty());
}

class Broken : public ItemSource {
 public:
  absl::Status Read(int64_t item, float* values) const override {
    values[0] = 0;
    return item == 2 ? absl::DataLossError("file2: is damaged") : absl::OkStatus();
  }
};

TEST(BatchLoader, PassesErrorsOnBehindWhatIsGood) {
  Dataset dataset;
  dataset.item_shape = {1};
  dataset.items = std::make_shared<Broken>();
  dataset.labels = {0, 0, 0};
  dataset.classes = 1;
  for (const int ahead : {0, 4}) {
    BatchLoader loader(dataset, {.batch = 2, .shuffle = false, .ahead = ahead}, 0);
    EXPECT_TRUE(loader.Next().ok());
    const auto bad = loader.Next();
    ASSERT_FALSE(bad.ok());
    EXPECT_THAT(std::string(bad.status().message()), HasSubstr("file2"));
  }
}

TEST(Transform, ChecksThatItFits) {
  const Dataset dataset = Images(1);
  EXPECT_TRUE((Transform{.mean = std::vector<float>(24, 0)}.Check(dataset).ok()));
  EXPECT_FALSE((Transform{.mean = {1, 2, 3}}.Check(dataset).ok()));
  EXPECT_FALSE((Transform{.crop = 4}.Check(dataset).ok()));
  EXPECT_THAT((Transform{.crop = 3}.OutputShape(dataset)), ElementsAre(2, 3, 3));
}

TEST(SplitDataset, HoldsOutAPartByTheSeed) {
  const Dataset dataset = Images(20);
  const DatasetSplit split = SplitDataset(dataset, 0.25, 1);
  EXPECT_EQ(split.train.size(), 15);
  EXPECT_EQ(split.test.size(), 5);
  std::set<int32_t> all(split.train.labels.begin(), split.train.labels.end());
  all.insert(split.test.labels.begin(), split.test.labels.end());
  EXPECT_EQ(all.size(), 20u);
  EXPECT_EQ(SplitDataset(dataset, 0.25, 1).test.labels, split.test.labels);
  EXPECT_NE(SplitDataset(dataset, 0.25, 2).test.labels, split.test.labels);
  float values[24];
  ASSERT_TRUE(split.test.items->Read(0, values).ok());
  EXPECT_EQ(values[0], 24.0f * static_cast<float>(split.test.labels[0]));
}

}  // namespace
}  // namespace kiln
