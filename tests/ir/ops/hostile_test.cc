// Type inference is the gate against hostile models. Every op of the case files is made again with
// one operand and one attribute changed to something odd or extreme: it is refused with an error,
// or it evaluates and lowers without leaving its buffers, in reasonable time.
#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "ir/eval/interpreter.h"
#include "ir/graph/printer.h"
#include "tests/ir/ops/case_files.h"
#include "tests/ir/ops/lowering.h"

namespace kiln {
namespace {

class Hostile {
 public:
  uint32_t Below(size_t n) { return static_cast<uint32_t>(random_() % n); }

  template <typename T, size_t N>
  T OneOf(const T (&values)[N]) {
    return values[Below(N)];
  }

  int64_t Int() {
    static constexpr int64_t kValues[] = {std::numeric_limits<int64_t>::min(),
                                          std::numeric_limits<int64_t>::max(),
                                          int64_t{1} << 62,
                                          int64_t{1} << 47,
                                          -(int64_t{1} << 40),
                                          int64_t{1} << 31,
                                          -1,
                                          0,
                                          0,
                                          1,
                                          1,
                                          2,
                                          3,
                                          4,
                                          5,
                                          7};
    return OneOf(kValues);
  }

  double Double() {
    static constexpr double kValues[] = {std::numeric_limits<double>::quiet_NaN(),
                                         std::numeric_limits<double>::infinity(),
                                         -1e300,
                                         1e-300,
                                         1e18,
                                         -1,
                                         0,
                                         0.5,
                                         1,
                                         2,
                                         3};
    return OneOf(kValues);
  }

  std::string Word() {
    static const char* const kWords[] = {"none",       "tanh",          "constant",
                                         "reflect",    "edge",          "wrap",
                                         "add",        "mul",           "max",
                                         "min",        "linear",        "cubic",
                                         "half_pixel", "align_corners", "tf_crop_and_resize",
                                         "floor",      "nearest",       ""};
    return OneOf(kWords);
  }

  ElementType Element() { return static_cast<ElementType>(Below(kNumElementTypes)); }

  // The type with another element type, extent or rank.
  TensorType Change(TensorType type) {
    Shape& shape = type.shape;
    switch (Below(4)) {
      case 0: type.element = Element(); break;
      case 1: shape.insert(shape.begin() + Below(shape.size() + 1), 1 + Below(2)); break;
      case 2:
        if (!shape.empty()) shape.erase(shape.begin() + Below(shape.size()));
        break;
      default:
        if (!shape.empty()) shape[Below(shape.size())] = Below(4);
    }
    return type;
  }

  template <typename T, typename Make>
  std::vector<T> ChangeOne(std::vector<T> values, const Make& make) {
    if (Below(8) == 0 || values.empty()) {
      values.resize(Below(6), 1);
    } else {
      values[Below(values.size())] = make();
    }
    return values;
  }

  Attribute Change(const Attribute& value) {
    switch (value.kind()) {
      case Attribute::Kind::kBool: return !value.as<bool>();
      case Attribute::Kind::kInt: return Int();
      case Attribute::Kind::kDouble: return Double();
      case Attribute::Kind::kString: return Word();
      case Attribute::Kind::kInts:
        return ChangeOne(value.as<std::vector<int64_t>>(), [this] { return Int(); });
      case Attribute::Kind::kDoubles:
        return ChangeOne(value.as<std::vector<double>>(), [this] { return Double(); });
      case Attribute::Kind::kElementType: return Element();
      case Attribute::Kind::kLayout:
        return Layout{{}, {{static_cast<int>(Below(6)) - 1, static_cast<int64_t>(Below(9))}}};
      case Attribute::Kind::kTensor: break;  // constants only, which are not changed
    }
    return value;
  }

  Array Values(const TensorType& type) {
    Array array(type.element, type.shape);
    for (double& value : array.floats) value = RoundTo(type.element, Double());
    for (int64_t& value : array.ints) value = WrapInt(type.element, Int());
    return array;
  }

 private:
  std::mt19937 random_{7};
};

// Returns whether the changed op was accepted and run.
bool Try(const Op& original, Hostile& hostile) {
  Module module;
  Builder builder(module.AddFunction("test"));
  std::vector<StatusOr<Op*>> operands;
  std::vector<Array> arrays;
  const size_t changed = hostile.Below(original.operands().size() + 2);
  for (size_t k = 0; k < original.operands().size(); ++k) {
    TensorType type = original.operand(k)->type();
    if (k == changed) type = hostile.Change(type);
    operands.push_back(builder.Input(StrCat("x", k), type));
    arrays.push_back(hostile.Values(type));
  }
  AttributeMap attributes = original.attributes();
  if (!attributes.empty() && hostile.Below(4) != 0) {
    const auto it = std::next(attributes.begin(), hostile.Below(attributes.size()));
    it->second = hostile.Change(it->second);
  }
  const auto op = builder.Make(original.kind(), operands, attributes);
  if (!op.ok() || (*op)->type().count() > 4096) return false;
  SCOPED_TRACE(Print(**op));
  std::vector<const Array*> pointers;
  for (const Array& array : arrays) pointers.push_back(&array);
  // A position outside of the data is an error of the evaluation, not of the compiled code.
  const auto evaluated = EvaluateOp(**op, pointers);
  EXPECT_TRUE(evaluated.ok() || absl::IsInvalidArgument(evaluated.status())) << evaluated.status();
  if (original.def().element || original.def().nest || original.def().stages) {
    const auto lowered = RunLowered(**op, pointers);
    EXPECT_TRUE(lowered.ok()) << lowered.status();
  }
  return true;
}

class HostileTest : public testing::TestWithParam<std::string> {};

TEST_P(HostileTest, InferenceRefusesWhatCannotRun) {
  const auto module = ReadCases(GetParam());
  ASSERT_TRUE(module.ok()) << module.status();
  Hostile hostile;
  int runs = 0;
  for (const auto& graph : (*module)->functions()) {
    for (const auto& op : graph->ops()) {
      if (op->HasTrait(kLeaf)) continue;
      for (int i = 0; i < 20; ++i) {
        runs += Try(*op, hostile);
        ASSERT_FALSE(HasFailure());
      }
    }
  }
  EXPECT_GT(runs, 0);
}

INSTANTIATE_TEST_SUITE_P(Cases, HostileTest, testing::ValuesIn(CaseFiles()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace kiln
