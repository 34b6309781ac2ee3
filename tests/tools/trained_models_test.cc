// Trained nets that lie beside the tree, on the pictures there: what share they name rightly.
#include <gtest/gtest.h>

#include <filesystem>
#include <vector>

#include "compiler/import/import.h"
#include "tests/compiler/import/shared_models.h"
#include "tools/image.h"

namespace kiln {
namespace {

struct Digit {
  int label;
  Tensor pixels;  // [1, 1, 28, 28], 0..255
};

std::vector<Digit> LoadDigits() {
  std::vector<Digit> digits;
  ImageOptions options;
  options.grey = true;
  for (int label = 0; label < 10; ++label) {
    const auto folder = SharedModel("data/mnist_png/" + std::to_string(label));
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      const auto image = LoadImage(entry.path().string(), options);
      EXPECT_TRUE(image.ok()) << image.status();
      if (!image.ok()) continue;
      digits.push_back({label, Tensor({ElementType::kF32, {1, 1, 28, 28}, {}}, image->bytes)});
    }
  }
  return digits;
}

struct Net {
  const char* name;
  std::vector<std::string> files;
  std::string input;
  Shape shape;
  double scale;
  double least;  // right of 100: what is measured, or just below
};

class TrainedDigitsTest : public testing::TestWithParam<Net> {};

TEST_P(TrainedDigitsTest, NamesDigitsRightly) {
  const Net& net = GetParam();
  KILN_NEED_SHARED(net.files[0]);
  KILN_NEED_SHARED("data/mnist_png");
  ImportOptions options;
  options.input_shapes[net.input] = net.shape;
  std::vector<std::string> paths;
  for (const std::string& file : net.files) paths.push_back(SharedModel(file));
  const auto module = ImportModel(paths, options);
  ASSERT_TRUE(module.ok()) << module.status();
  const std::vector<Digit> digits = LoadDigits();
  ASSERT_EQ(digits.size(), 100u);
  int right = 0;
  CompiledModule compiled(**module);
  for (const Digit& digit : digits) {
    std::vector<double> values = digit.pixels.ToDoubles();
    for (double& value : values) value *= net.scale;
    const auto outputs = compiled.Run({Tensor::FromDoubles(ElementType::kF32, net.shape, values)});
    ASSERT_FALSE(outputs.empty());
    const auto scores = outputs[0].ToDoubles();
    ASSERT_EQ(scores.size(), 10u);
    right += std::max_element(scores.begin(), scores.end()) - scores.begin() == digit.label;
  }
  RecordProperty("right", right);
  EXPECT_GE(right, net.least);
}

INSTANTIATE_TEST_SUITE_P(
    Nets, TrainedDigitsTest,
    testing::Values(
        Net{"caffe_lenet",
            {"caffe/lenet_trained/lenet.prototxt",
             "caffe/lenet_trained/lenet_iter_10000.caffemodel"},
            "data",
            {1, 1, 28, 28},
            1 / 256.0,
            98},
        Net{"mxnet_cnn",
            {"mxnet/mnist_cnn/mnist-symbol.json", "mxnet/mnist_cnn/mnist-0035.params"},
            "data",
            {1, 1, 28, 28},
            1 / 255.0,
            98},
        Net{"tensorflow_lenet",
            {"tensorflow/lenet5_mnist_frozen.pb"},
            "in",
            {1, 28, 28, 1},
            1 / 255.0,
            98},
        Net{"tensorflow_cnn", {"tensorflow/mnist_cnn_tf.pb"}, "x", {1, 28, 28, 1}, 1 / 255.0, 98}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace kiln
