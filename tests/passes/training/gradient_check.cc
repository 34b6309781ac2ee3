#include "tests/passes/training/gradient_check.h"

#include <algorithm>
#include <cmath>

#include "ir/eval/interpreter.h"

namespace kiln {

namespace {

constexpr double kStep = 1e-5;
constexpr double kRelative = 1e-6;

// A direction that follows the signs of the gradient.
std::vector<double> Direction(const Array& gradient, Random& random) {
  std::vector<double> direction;
  for (const double g : gradient.floats) {
    const double length = random.Uniform(0.5, 1.5);
    const bool negative = g != 0 ? g < 0 : random.Chance(0.5);
    direction.push_back(negative ? -length : length);
  }
  return direction;
}

bool AllFinite(const Array& array) {
  return std::all_of(array.floats.begin(), array.floats.end(),
                     [](double value) { return std::isfinite(value); });
}

// The scalar alone, for the differences.
std::unique_ptr<Module> LossOnly(const Module& module) {
  std::unique_ptr<Module> copy = module.Clone();
  Graph& graph = *copy->functions()[0];
  while (graph.outputs().size() > 1) graph.EraseOutput(graph.outputs().size() - 1);
  graph.EraseDeadOps();
  return copy;
}

class Checker {
 public:
  Checker(const Differentiated& differentiated, uint64_t seed)
      : graph_(*differentiated.module->functions()[0]),
        loss_only_(LossOnly(*differentiated.module)),
        wanted_(differentiated.wanted),
        inputs_(GenericInputs(graph_, seed)),
        random_(seed, "direction") {}

  GradientCheck Run() {
    const auto outputs = Interpret(graph_, inputs_);
    if (!outputs.ok()) return {GradientVerdict::kUndefined, Message(outputs.status()), false};
    for (const Array& output : *outputs) {
      if (!AllFinite(output)) return {GradientVerdict::kUndefined, "not finite", false};
    }
    loss_ = (*outputs)[0].floats[0];
    magnitude_ = (*outputs)[1].floats[0];
    GradientCheck check;
    for (size_t i = 0; i < wanted_.size() && check.verdict == GradientVerdict::kRight; ++i) {
      CheckOne(wanted_[i], (*outputs)[i + 2], check);
    }
    return check;
  }

 private:
  // The scalar at inputs + distance * direction in input `x`.
  double Loss(size_t x, const std::vector<double>& direction, double distance) {
    std::vector<Array> moved = inputs_;
    for (size_t i = 0; i < direction.size(); ++i) moved[x].floats[i] += distance * direction[i];
    const auto outputs = Interpret(*loss_only_->functions()[0], moved);
    return outputs.ok() ? (*outputs)[0].floats[0] : NAN;
  }

  void CheckOne(size_t x, const Array& gradient, GradientCheck& check) {
    const std::vector<double> direction = Direction(gradient, random_);
    double slope = 0;
    for (size_t i = 0; i < direction.size(); ++i) slope += gradient.floats[i] * direction[i];
    check.nonzero |= slope != 0;
    const double up = Loss(x, direction, kStep), down = Loss(x, direction, -kStep);
    const double near = (up - down) / (2 * kStep);
    const double far =
        (Loss(x, direction, 2 * kStep) - Loss(x, direction, -2 * kStep)) / (4 * kStep);
    const double bend = (up - 2 * loss_ + down) / kStep;  // 0 with the step, but at an edge
    const double difference = (4 * near - far) / 3;
    const double scale = std::max(std::abs(slope), std::abs(difference));
    const double rounding = 4e-15 * (1 + magnitude_) / kStep;
    const bool smooth = std::abs(near - far) <= 0.3 * kRelative * scale + rounding &&
                        std::abs(bend) <= 1e-2 * scale + rounding;
    if (!smooth) {  // also where one is not a number
      check.verdict = GradientVerdict::kUndefined;
      check.message = "not smooth";
    } else if (std::abs(slope - difference) > kRelative * scale + rounding) {
      check.verdict = GradientVerdict::kWrong;
      check.message = StrCat("input ", graph_.inputs()[x]->name(), ": the gradient gives ", slope,
                             ", differences give ", difference);
    }
  }

  const Graph& graph_;
  std::unique_ptr<Module> loss_only_;
  const std::vector<size_t>& wanted_;
  std::vector<Array> inputs_;
  Random random_;
  double loss_ = 0;
  double magnitude_ = 0;
};

}  // namespace

GradientCheck CheckGradients(const Differentiated& differentiated, uint64_t seed) {
  return Checker(differentiated, seed).Run();
}

}  // namespace kiln
