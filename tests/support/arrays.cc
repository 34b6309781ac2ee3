#include "tests/support/arrays.h"

#include <algorithm>
#include <cmath>

#include "ir/support/strings.h"
#include "tests/support/random.h"

namespace kiln {

namespace {

double RandomFloat(Random& random, ElementType element, Range range) {
  double value = random.Uniform(range.low, range.high);
  if (random.Chance(0.125)) {
    const double special = random.Pick<double>({range.low, range.high, 0, 1, -1});
    if (special >= range.low && special <= range.high) value = special;
  }
  return RoundTo(element, value);
}

int64_t RandomInt(Random& random, ElementType element, Range range) {
  if (element == ElementType::kBool) return random.Int(0, 1);
  const auto low = static_cast<int64_t>(std::ceil(range.low));
  const auto high = static_cast<int64_t>(std::floor(range.high));
  return random.Int(IsSigned(element) ? low : std::max<int64_t>(low, 0),
                    std::max<int64_t>(high, 0));
}

Range RangeOf(const Graph& graph, const std::string& input) {
  const auto& metadata = graph.module()->metadata;
  for (const std::string& key :
       {StrCat("range @", graph.name(), " ", input), StrCat("range ", input)}) {
    const auto it = metadata.find(key);
    if (it == metadata.end()) continue;
    const std::vector<std::string> bounds = StrSplit(it->second, ' ');
    Range range;
    if (bounds.size() == 2 && ParseDouble(bounds[0], &range.low) &&
        ParseDouble(bounds[1], &range.high)) {
      return range;
    }
  }
  return {};
}

bool Agree(double expected, double actual, double relative, double absolute) {
  if (std::isnan(expected) || std::isnan(actual)) return std::isnan(expected) && std::isnan(actual);
  if (std::isinf(expected) || std::isinf(actual)) return expected == actual;
  return std::abs(actual - expected) <= relative * std::abs(expected) + absolute;
}

double LargestFinite(const Array& array) {
  double largest = 0;
  for (const double value : array.floats) {
    if (std::isfinite(value)) largest = std::max(largest, std::abs(value));
  }
  return largest;
}

std::string TypeOf(const Array& array) {
  return TensorType{array.element, array.shape, {}}.ToString();
}

std::string ValueAt(const Array& array, int64_t i) {
  return array.is_float() ? FormatDouble(array.floats[i]) : StrCat(array.ints[i]);
}

}  // namespace

Array RandomArray(const TensorType& type, uint64_t seed, std::string_view name, Range range) {
  Random random(seed, name);
  Array array(type.element, type.shape);
  for (double& value : array.floats) value = RandomFloat(random, type.element, range);
  for (int64_t& value : array.ints) value = RandomInt(random, type.element, range);
  return array;
}

std::vector<Array> RandomInputs(const Graph& graph, uint64_t seed) {
  std::vector<Array> arrays;
  for (const Op* const input : graph.inputs()) {
    const std::string& name = input->sources()[0];
    arrays.push_back(RandomArray(input->type(), seed, name, RangeOf(graph, name)));
  }
  return arrays;
}

std::optional<std::string> Mismatch(const Array& expected, const Array& actual,
                                    Tolerance tolerance) {
  if (TypeOf(expected) != TypeOf(actual)) {
    return StrCat("expected ", TypeOf(expected), ", found ", TypeOf(actual));
  }
  const double absolute = tolerance.scaled * std::max(1.0, LargestFinite(expected));
  int64_t first = -1;
  int64_t count = 0;
  for (int64_t i = 0; i < expected.count(); ++i) {
    const bool agree = expected.is_float() ? Agree(expected.floats[i], actual.floats[i],
                                                   tolerance.relative, absolute)
                                           : expected.ints[i] == actual.ints[i];
    if (agree) continue;
    if (count++ == 0) first = i;
  }
  if (count == 0) return std::nullopt;
  return StrCat("element ", first, " of ", TypeOf(expected), ": expected ",
                ValueAt(expected, first), ", found ", ValueAt(actual, first), " (", count, " of ",
                expected.count(), " differ)");
}

std::optional<std::string> Mismatch(const std::vector<Array>& expected,
                                    const std::vector<Array>& actual, Tolerance tolerance) {
  if (expected.size() != actual.size()) {
    return StrCat("expected ", expected.size(), " arrays, found ", actual.size());
  }
  for (size_t i = 0; i < expected.size(); ++i) {
    if (const auto mismatch = Mismatch(expected[i], actual[i], tolerance)) {
      return StrCat("array ", i, ": ", *mismatch);
    }
  }
  return std::nullopt;
}

}  // namespace kiln
