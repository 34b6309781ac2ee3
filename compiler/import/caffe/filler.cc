#include "compiler/import/caffe/filler.h"

#include <cmath>
#include <numbers>
#include <vector>

#include "compiler/import/foreign/problems.h"
#include "ir/support/random.h"

namespace kiln::caffe_import {

namespace {

using caffe::FillerParameter;

/// The numbers of one filler.
class Generator {
 public:
  Generator(uint64_t seed, const std::string& name) : random_(seed, name) {}
  /// In [0, 1).
  double Uniform() { return random_.Uniform(); }
  double Uniform(double low, double high) { return low + (high - low) * Uniform(); }
  /// Box and Muller.
  double Normal(double mean, double deviation) {
    const double radius = std::sqrt(-2 * std::log(1 - Uniform()));
    return mean + deviation * radius * std::cos(2 * std::numbers::pi * Uniform());
  }

 private:
  SplitMix64 random_;
};

// n of xavier and msra.
double Fan(const FillerParameter& filler, const Shape& shape) {
  const auto count = static_cast<double>(ElementCount(shape));
  const double in = shape.empty() ? count : count / static_cast<double>(shape[0]);
  const double out = shape.size() < 2 ? count : count / static_cast<double>(shape[1]);
  switch (filler.variance_norm()) {
    case FillerParameter::FAN_OUT: return out;
    case FillerParameter::AVERAGE: return (in + out) / 2;
    default: return in;
  }
}

void Gaussian(const FillerParameter& filler, const Shape& shape, Generator& generator,
              std::vector<double>& values) {
  for (double& value : values) value = generator.Normal(filler.mean(), filler.std());
  if (filler.sparse() < 0 || shape.empty()) return;
  // On the average `sparse` weights into each output are not zero.
  const double kept = static_cast<double>(filler.sparse()) / static_cast<double>(shape[0]);
  for (double& value : values) value = generator.Uniform() < kept ? value : 0;
}

void PositiveUnitBall(const Shape& shape, Generator& generator, std::vector<double>& values) {
  const size_t rows = shape.empty() ? 1 : static_cast<size_t>(shape[0]);
  const size_t columns = values.size() / std::max<size_t>(rows, 1);
  for (size_t row = 0; row < rows; ++row) {
    double sum = 0;
    for (size_t i = row * columns; i < (row + 1) * columns; ++i) {
      sum += values[i] = generator.Uniform();
    }
    for (size_t i = row * columns; i < (row + 1) * columns; ++i) values[i] /= sum;
  }
}

// Weights of an upsampling deconvolution.
void Bilinear(const Shape& shape, std::vector<double>& values) {
  const int64_t width = shape[3], height = shape[2];
  const double f = std::ceil(static_cast<double>(width) / 2);
  const double c = (2 * f - 1 - std::fmod(f, 2)) / (2 * f);
  for (size_t i = 0; i < values.size(); ++i) {
    const auto x = static_cast<double>(static_cast<int64_t>(i) % width);
    const auto y = static_cast<double>(static_cast<int64_t>(i) / width % height);
    values[i] = (1 - std::abs(x / f - c)) * (1 - std::abs(y / f - c));
  }
}

}  // namespace

Status CheckFiller(const FillerParameter& filler) {
  for (const char* const name :
       {"constant", "uniform", "gaussian", "positive_unitball", "xavier", "msra", "bilinear"}) {
    if (filler.type() == name) return OkStatus();
  }
  return Unsupported("filler '", foreign::Printable(filler.type()), "' is not supported");
}

StatusOr<Tensor> Fill(const FillerParameter& filler, const Shape& shape, uint64_t seed,
                      const std::string& name) {
  KILN_RETURN_IF_ERROR(CheckFiller(filler));
  constexpr int64_t kMaxFilled = int64_t{1} << 28;
  if (ElementCount(shape) > kMaxFilled) {
    return Unsupported("a tensor of ", FormatInts(shape), " is too large to be filled");
  }
  const std::string& type = filler.type();
  Generator generator(seed, name);
  std::vector<double> values(static_cast<size_t>(ElementCount(shape)), filler.value());
  if (values.empty()) return Tensor::FromDoubles(ElementType::kF32, shape, values);
  if (type == "uniform") {
    for (double& value : values) value = generator.Uniform(filler.min(), filler.max());
  } else if (type == "gaussian") {
    Gaussian(filler, shape, generator, values);
  } else if (type == "positive_unitball") {
    PositiveUnitBall(shape, generator, values);
  } else if (type == "xavier") {
    const double bound = std::sqrt(3 / Fan(filler, shape));
    for (double& value : values) value = generator.Uniform(-bound, bound);
  } else if (type == "msra") {
    const double deviation = std::sqrt(2 / Fan(filler, shape));
    for (double& value : values) value = generator.Normal(0, deviation);
  } else if (type == "bilinear") {
    if (shape.size() != 4 || shape[2] != shape[3]) {
      return InvalidInput("filler 'bilinear' needs square kernels, found ", FormatInts(shape));
    }
    Bilinear(shape, values);
  }
  return Tensor::FromDoubles(ElementType::kF32, shape, values);
}

}  // namespace kiln::caffe_import
