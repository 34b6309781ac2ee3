#include "tools/numbers.h"

#include <string>

#include "ir/support/strings.h"

namespace kiln {

namespace {

// `expected` completes "expected a ..."; the help shows `range` behind the option's type.
template <typename Accept>
CLI::Validator Expect(const std::string& expected, const std::string& range, Accept accept) {
  return CLI::Validator(
      [=](const std::string& text) {
        return accept(text) ? "" : StrCat("expected a ", expected, ", found '", text, "'");
      },
      range);
}

}  // namespace

CLI::Validator WholeNumber(int64_t least, int64_t most) {
  const bool open = most == std::numeric_limits<int64_t>::max();
  const std::string range = open ? StrCat("at least ", least) : StrCat(least, " to ", most);
  return Expect(StrCat("whole number, ", range), range, [=](const std::string& text) {
    int64_t value;
    return ParseInt(text, &value) && value >= least && value <= most;
  });
}

CLI::Validator Number(double least, double most) {
  const std::string range = StrCat(FormatDouble(least), " to ", FormatDouble(most));
  return Expect(StrCat("number, ", range), range, [=](const std::string& text) {
    double value;
    return ParseDouble(text, &value) && value >= least && value <= most;
  });
}

CLI::Validator FiniteNumber() {
  constexpr double kMost = std::numeric_limits<float>::max();
  return Expect("finite number", "", [](const std::string& text) {
    double value;
    return ParseDouble(text, &value) && value >= -kMost && value <= kMost;
  });
}

}  // namespace kiln
