#include "ir/graph/recipe.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <thread>

#include "ir/eval/elementwise.h"
#include "ir/graph/builder.h"
#include "ir/graph/printer.h"
#include "ir/graph/relayout.h"
#include "ir/ops/winograd.h"
#include "tests/support/arrays.h"

namespace kiln {
namespace {

/// Rows of 32768 floats that hold the number of their row; counts how often it is asked.
class Counting : public TensorRecipe {
 public:
  static constexpr int64_t kColumns = 32768;
  explicit Counting(std::atomic<int>& asked) : asked_(asked) {}
  void Write(char* to) const override {
    ++asked_;
    WriteRows(0, rows(), to);
  }
  int64_t rows() const override { return 4; }
  void WriteRows(int64_t begin, int64_t end, char* to) const override {
    auto* const out = reinterpret_cast<float*>(to);
    for (int64_t i = 0; i < (end - begin) * kColumns; ++i) {
      out[i] = static_cast<float>(begin + i / kColumns);
    }
  }

 private:
  std::atomic<int>& asked_;
};

Tensor CountingTensor(std::atomic<int>& asked) {
  return Tensor::Deferred({ElementType::kF32, {4, Counting::kColumns}},
                          std::make_shared<Counting>(asked));
}

Tensor Copied(const Tensor& tensor) {
  std::vector<char> bytes(static_cast<size_t>(tensor.type().bytes()), '\x7f');
  tensor.CopyTo(bytes.data());
  return Tensor(tensor.type(), std::move(bytes));
}

TEST(DeferredTensorTest, IsComputedWhenItsBytesAreAskedForAndOnce) {
  std::atomic<int> asked{0};
  const Tensor tensor = CountingTensor(asked);
  const Tensor copy = tensor.Reshaped({2, 2, Counting::kColumns});
  EXPECT_TRUE(tensor.known());
  EXPECT_NE(tensor.recipe(), nullptr);
  EXPECT_EQ(tensor.identity(), copy.identity());
  EXPECT_EQ(asked, 0);
  std::thread other([&] { EXPECT_EQ(copy.GetDouble(Counting::kColumns), 1); });
  EXPECT_EQ(tensor.GetDouble(3 * Counting::kColumns), 3);
  other.join();
  EXPECT_EQ(asked, 1);
  EXPECT_EQ(tensor.recipe(), nullptr) << "what it was made of is still kept";
  EXPECT_EQ(tensor.bytes().data(), copy.bytes().data());
  EXPECT_EQ(Copied(tensor), tensor);
  EXPECT_EQ(asked, 1);
}

TEST(DeferredTensorTest, CopiesWithoutKeepingTheBytes) {
  std::atomic<int> asked{0};
  const Tensor tensor = CountingTensor(asked);
  const Tensor first = Copied(tensor), second = Copied(tensor);
  EXPECT_EQ(asked, 2);
  EXPECT_NE(tensor.recipe(), nullptr);
  EXPECT_EQ(first, second);
  EXPECT_EQ(first, tensor);
  EXPECT_EQ(first.hash(), tensor.hash());
}

TEST(DeferredTensorTest, FewBytesAreComputedAtOnce) {
  const Tensor plain = Tensor::FromInts(ElementType::kF32, {2, 3}, {1, 2, 3, 4, 5, 6});
  const Tensor moved = ToLayout(plain, {.order = {1, 0}, .blocks = {}});
  EXPECT_EQ(moved.recipe(), nullptr);
  EXPECT_EQ(moved.GetInt(1), 4);
}

TEST(RowReaderTest, ReadsWhatIsThereAndComputesWhatIsNot) {
  std::atomic<int> asked{0};
  const Tensor deferred = CountingTensor(asked);
  RowReader computed(deferred);
  EXPECT_EQ(reinterpret_cast<const float*>(computed.Rows(2, 4))[Counting::kColumns], 3);
  EXPECT_EQ(reinterpret_cast<const float*>(computed.Rows(1, 2))[0], 1);
  EXPECT_EQ(asked, 0);
  // Other rows than the recipe's: all is computed, once.
  const Tensor reshaped = deferred.Reshaped({8, Counting::kColumns / 2});
  RowReader halves(reshaped);
  EXPECT_EQ(reinterpret_cast<const float*>(halves.Rows(5, 6))[0], 2);
  EXPECT_EQ(asked, 1);
}

Tensor RandomTensor(Shape shape, const std::string& name) {
  return RandomArray({ElementType::kF32, std::move(shape)}, 7, name).ToTensor();
}

/// w * s, deferred.
Tensor Scaled(const Tensor& w, const Tensor& s) {
  Module module;
  Builder builder(module.AddFunction("test"));
  const auto op = builder.Mul(builder.Constant(w), builder.Constant(s));
  EXPECT_TRUE(op.ok()) << op.status();
  const Tensor* const operands[] = {&w, &s};
  const auto result = EvaluateElementwise(**op, operands);
  EXPECT_TRUE(result.ok()) << result.status();
  EXPECT_NE(result->recipe(), nullptr);
  return *result;
}

/// The same bytes, there already.
Tensor AtHand(const Tensor& tensor) { return Copied(tensor); }

constexpr int64_t kOutputs = 80, kInputs = 48;

TEST(RecipeTest, ElementwiseRowsAreThoseOfTheWhole) {
  const Tensor w = RandomTensor({kOutputs, kInputs, 3, 3}, "w");
  for (const Shape& scale : {Shape{kOutputs, 1, 1, 1}, Shape{kInputs, 3, 1}, Shape{1, 1, 3, 3}}) {
    const Tensor scaled = Scaled(w, RandomTensor(scale, "s"));
    const Tensor whole = AtHand(scaled);
    ASSERT_EQ(scaled.recipe()->rows(), kOutputs) << FormatInts(scale);
    RowReader rows(scaled), expected(whole);
    EXPECT_EQ(std::memcmp(rows.Rows(17, 60), expected.Rows(17, 60),
                          static_cast<size_t>(43 * kInputs * 9) * sizeof(float)),
              0)
        << FormatInts(scale);
  }
}

TEST(RecipeTest, ASplatScaleHasNoRowsOfItsOwn) {
  const Tensor w = RandomTensor({kOutputs, kInputs, 3, 3}, "w");
  const Tensor scaled = Scaled(w, RandomTensor({}, "s"));
  const Layout packed{.order = {}, .blocks = {{0, 16}}};
  EXPECT_EQ(ToLayout(scaled, packed), ToLayout(AtHand(scaled), packed));
}

TEST(RecipeTest, ARelayoutOfWhatIsDeferredIsThatOfItsBytes) {
  const Tensor w = RandomTensor({kOutputs, kInputs, 3, 3}, "w");
  for (const Layout& layout :
       {Layout{.order = {}, .blocks = {{0, 16}}}, Layout{.order = {1, 2, 3, 0}, .blocks = {}},
        Layout{.order = {}, .blocks = {{1, 16}}}, Layout{.order = {0, 2, 3, 1}, .blocks = {}},
        Layout{.order = {}, .blocks = {{0, 32}}}, Layout{.order = {}, .blocks = {{0, 4}, {0, 2}}},
        Layout{.order = {}, .blocks = {}, .padding = {{0, 1, 2}}}}) {
    const Tensor scaled = Scaled(w, RandomTensor({kOutputs, 1, 1, 1}, "s"));
    const Tensor moved = ToLayout(scaled, layout);
    EXPECT_NE(moved.recipe(), nullptr);
    EXPECT_EQ(Copied(moved), ToLayout(AtHand(scaled), layout)) << layout.ToString();
  }
}

// What becomes of a dense layer behind a flattened image: its columns are reordered, and the result
// is packed.
TEST(RecipeTest, RelayoutsChain) {
  const Tensor w = RandomTensor({100, 12 * 49}, "w");
  const Tensor split = w.Reshaped({100, 12, 49});
  const Layout swapped{.order = {0, 2, 1}, .blocks = {}};
  const Layout packed{.order = {0, 1}, .blocks = {{0, 16}}};
  const Tensor reordered = ToLayout(split, swapped).Retyped(w.type());
  const Tensor expected = ToLayout(AtHand(reordered), packed);
  EXPECT_NE(reordered.recipe(), nullptr);
  EXPECT_EQ(Copied(ToLayout(reordered, packed)), expected);
}

TEST(RecipeTest, WinogradWeightsArePackedAsTheyAreMade) {
  const Tensor w = RandomTensor({kOutputs, kInputs, 3, 3}, "w");
  for (const bool transposed : {false, true}) {
    for (const int64_t lanes : {16, 8, 4}) {
      const Layout packed{.order = {0, 1, 3, 2}, .blocks = {{3, lanes}}};
      const auto u =
          WinogradWeights(Scaled(w, RandomTensor({kOutputs, 1, 1, 1}, "s")), 4, transposed);
      ASSERT_TRUE(u.ok()) << u.status();
      ASSERT_NE(u->recipe(), nullptr);
      TensorType type = u->type();
      type.layout = packed;
      EXPECT_NE(u->recipe()->InLayoutOf(type), nullptr);
      const Tensor made = ToLayout(*u, packed);
      EXPECT_EQ(Copied(made), ToLayout(AtHand(*u), packed)) << transposed << " " << lanes;
    }
  }
}

TEST(RecipeTest, WinogradWeightsInOtherLayoutsAreMoved) {
  const auto u = WinogradWeights(RandomTensor({72, kInputs, 3, 3}, "w"), 4);
  ASSERT_TRUE(u.ok()) << u.status();
  const auto recipe = u->recipe();
  ASSERT_NE(recipe, nullptr);
  for (const Layout& layout : {Layout{.order = {0, 1, 3, 2}, .blocks = {{3, 16}}},
                               Layout{.order = {3, 0, 1, 2}, .blocks = {}}}) {
    TensorType type = u->type();
    type.layout = layout;
    EXPECT_EQ(recipe->InLayoutOf(type), nullptr) << layout.ToString();
    EXPECT_EQ(Copied(ToLayout(*u, layout)), ToLayout(AtHand(*u), layout)) << layout.ToString();
  }
}

}  // namespace
}  // namespace kiln
