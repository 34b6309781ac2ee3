#include "tests/compiler/op_cases.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <random>

#include "ir/eval/interpreter.h"
#include "ir/graph/kir_file.h"

namespace kiln::testing_support {

namespace fs = std::filesystem;

Array RandomArray(const TensorType& type, uint64_t seed) {
  std::mt19937_64 random(seed);
  Array array(type.element, type.shape);
  for (double& value : array.floats) {
    value = RoundTo(type.element, std::uniform_real_distribution<>(-2, 2)(random));
  }
  for (int64_t& value : array.ints) {
    value = static_cast<int64_t>(random() % (type.element == ElementType::kBool ? 2 : 3));
  }
  return array;
}

void ExpectClose(const Array& expected, const Array& actual, const std::string& what) {
  ASSERT_EQ(expected.shape, actual.shape) << what;
  ASSERT_EQ(expected.element, actual.element) << what;
  const double tolerance = expected.element == ElementType::kBF16  ? 2e-2
                           : expected.element == ElementType::kF16 ? 4e-3
                                                                   : 2e-4;
  for (int64_t i = 0; i < expected.count(); ++i) {
    const double a = expected.GetDouble(i);
    const double b = actual.GetDouble(i);
    if (std::isnan(a) ? std::isnan(b) : a == b) continue;
    ASSERT_LE(std::abs(a - b), tolerance * std::max(1.0, std::abs(a))) << what << " element " << i;
  }
}

void CompareOpCases(const std::function<StatusOr<RunFunction>(const Module& module)>& prepare,
                    int* compared) {
  *compared = 0;
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(KILN_SOURCE_DIR "/tests/ops/cases")) {
    if (entry.path().extension() == ".kir") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  for (const fs::path& file : files) {
    const auto module = LoadKir(file.string());
    ASSERT_TRUE(module.ok()) << module.status();
    const auto run = prepare(**module);
    ASSERT_TRUE(run.ok()) << file << ": " << run.status();
    for (const auto& graph : (*module)->functions()) {
      const std::string what = StrCat(file.filename().string(), " @", graph->name());
      std::vector<Array> inputs;
      for (const Op* const input : graph->inputs()) {
        inputs.push_back(RandomArray(input->type(), inputs.size() + 7));
      }
      const auto expected = Interpret(*graph, inputs);
      if (!expected.ok()) continue;
      const auto actual = (*run)(graph->name(), inputs);
      ASSERT_TRUE(actual.ok()) << what << ": " << actual.status();
      ASSERT_EQ(expected->size(), actual->size()) << what;
      for (size_t i = 0; i < expected->size(); ++i) {
        ExpectClose((*expected)[i], (*actual)[i], what);
        if (testing::Test::HasFatalFailure()) return;
      }
      ++*compared;
    }
  }
}

}  // namespace kiln::testing_support
