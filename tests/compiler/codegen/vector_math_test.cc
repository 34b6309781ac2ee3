// Mathematical functions against double-precision libm, over floats of every magnitude.
#include "compiler/codegen/vector_math.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include "ir/loop/scalar.h"
#include "tests/compiler/codegen/jit.h"

namespace kiln {
namespace {

using namespace loop;

constexpr ElementType F32 = ElementType::kF32;

/// The distance of `actual` from the exact value, in units of the last place of a float there.
/// Infinite when one is NaN or infinite and the other is not, or zeros differ in sign.
double UlpError(float actual, double exact) {
  const auto rounded = static_cast<float>(exact);
  if (std::isnan(exact)) return std::isnan(actual) ? 0 : INFINITY;
  if (std::isinf(rounded) || std::isinf(actual)) {
    if (actual == rounded) return 0;
    // Overflow by rounding at the very end of the range.
    return std::abs(exact) > 3.4028e38 && std::signbit(actual) == (exact < 0) ? 1 : INFINITY;
  }
  if (actual == 0 && exact == 0) return std::signbit(actual) == std::signbit(exact) ? 0 : INFINITY;
  const double magnitude = std::max(std::abs(exact), 0x1p-126);
  return std::abs(actual - exact) / std::ldexp(1.0, std::ilogb(magnitude) - 23);
}

/// Every 1009th bit pattern of both signs, and the special values.
std::vector<float> EveryMagnitude() {
  const float inf = std::numeric_limits<float>::infinity();
  std::vector<float> values = {0.0f,           -0.0f,          1, -1, inf,    -inf,
                               std::nanf(""),  0.5f,           2, -2, 1e-45f, 3.4028235e38f,
                               -3.4028235e38f, 1.17549435e-38f};
  for (uint64_t bits = 0; bits <= 0xffffffff; bits += 1009) {
    values.push_back(std::bit_cast<float>(static_cast<uint32_t>(bits)));
  }
  return values;
}

struct Case {
  UnaryOp op;
  double ulp;  ///< the bound that vector_math.h states
};

class VectorMath : public ::testing::TestWithParam<const char*> {
 protected:
  /// y = value(x, w) over n elements.
  std::vector<float> Run(const std::vector<float>& x, const std::vector<float>& w,
                         const std::function<Expr(Expr, Expr)>& value) {
    const auto n = static_cast<int64_t>(x.size());
    const Buffer bx = MakeBuffer("x", F32, {n}), bw = MakeBuffer("w", F32, {n});
    const Buffer by = MakeBuffer("y", F32, {n});
    const Var i = MakeVar("i", n);
    const Kernel kernel{
        "math",
        {bx, bw},
        {by},
        For(i, LoopKind::kVector, Store(by, {i}, value(Load(bx, {i}), Load(bw, {i}))))};
    const auto target =
        std::string(GetParam()) == "host" ? HostTarget() : MakeTarget("", GetParam());
    const auto compiled = CompiledKernel::Make(kernel, *target);
    EXPECT_TRUE(compiled.ok()) << compiled.status();
    std::vector<float> y(x.size());
    std::vector<float> x_copy = x, w_copy = w;
    compiled->Run({x_copy.data(), w_copy.data(), y.data()});
    return y;
  }
};

TEST_P(VectorMath, FunctionsOfOneOperand) {
  const std::vector<float> x = EveryMagnitude();
  for (const auto& [op, bound] :
       {Case{UnaryOp::kExp, 0.97}, Case{UnaryOp::kExpm1, 1.5}, Case{UnaryOp::kLog, 0.8},
        Case{UnaryOp::kLog1p, 0.8}, Case{UnaryOp::kTanh, 2.4}, Case{UnaryOp::kSigmoid, 2.3},
        Case{UnaryOp::kErf, 1.3}, Case{UnaryOp::kSin, 1.5}, Case{UnaryOp::kCos, 1.6}}) {
    const std::vector<float> y = Run(x, x, [&](Expr a, Expr) { return Unary(op, a); });
    double worst = 0, at = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      const double error = UlpError(y[i], EvalFloat(op, x[i]));
      if (error > worst) {
        worst = error;
        at = x[i];
      }
    }
    EXPECT_LE(worst, bound) << Name(op) << " at " << at;
    RecordProperty(std::string(Name(op)), std::to_string(worst));
  }
}

TEST_P(VectorMath, Pow) {
  std::vector<float> x, y;
  const float inf = std::numeric_limits<float>::infinity();
  const float special[] = {0.0f,  -0.0f,  1,    -1,    inf,      -inf,    std::nanf(""),
                           0.5f,  2,      -2,   3,     -3,       1e-45f,  -0.5f,
                           1e30f, -1e30f, 2.5f, -7.5f, 16777216, 8388609, 0.75f};
  for (const float a : special) {
    for (const float b : special) {
      x.push_back(a);
      y.push_back(b);
    }
  }
  std::mt19937 random(5);
  for (int i = 0; i < 2000000; ++i) {
    const float base = std::bit_cast<float>(static_cast<uint32_t>(random()));
    x.push_back(base);
    // Mostly exponents that give a finite result.
    const double scale = 128 / std::max(1e-3, std::abs(std::log2(std::abs(double{base}))));
    const double fraction = static_cast<double>(random()) / 2147483648.0 - 1;
    y.push_back(i % 8 == 0   ? std::bit_cast<float>(static_cast<uint32_t>(random()))
                : i % 8 == 1 ? static_cast<float>(static_cast<int>(random() % 41) - 20)
                             : static_cast<float>(scale * fraction));
    if (i % 2) x.back() = std::abs(x.back());
  }
  const std::vector<float> z =
      Run(x, y, [](Expr a, Expr b) { return Binary(BinaryOp::kPow, a, b); });
  double worst = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double error = UlpError(z[i], std::pow(double{x[i]}, double{y[i]}));
    worst = std::max(worst, error);
    ASSERT_LE(error, 0.51) << x[i] << " ^ " << y[i] << " gave " << z[i];
  }
  RecordProperty("pow", std::to_string(worst));
}

INSTANTIATE_TEST_SUITE_P(Targets, VectorMath, ::testing::Values("host", "x86-64-v3", "x86-64-v2"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace kiln
