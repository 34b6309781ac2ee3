#include "passes/numeric_check.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "ir/eval/interpreter.h"
#include "ir/graph/builder.h"
#include "ir/graph/printer.h"
#include "ir/support/random.h"
#include "passes/diff.h"

namespace kiln {

namespace {

enum class Integers { kSmall, kZero };

// Floats in [-1, 1), integers in 0 .. 2, bools. Rounded to the element type.
Array RandomArray(const TensorType& type, SplitMix64 random, Integers integers) {
  Array array(type.element, type.shape);
  for (double& value : array.floats) value = RoundTo(type.element, 2 * random.Uniform() - 1);
  for (int64_t& value : array.ints) {
    const auto drawn = static_cast<int64_t>(random.Next() % 3);
    value = integers == Integers::kZero ? 0 : WrapInt(type.element, drawn);
  }
  return array;
}

// A stand-in for an unknown tensor. Vectors (scales, variances) are positive, so that a root of
// them is a number.
Tensor StandIn(const Tensor& unknown) {
  const TensorType& type = unknown.type();
  Array array = RandomArray(type, SplitMix64(0, unknown.hash()), Integers::kSmall);
  if (type.rank() <= 1) {
    for (double& value : array.floats) value = RoundTo(type.element, 0.625 + value / 2);
  }
  return array.ToTensor(type.layout);
}

Status FillUnknownConstants(Graph& graph) {
  for (Op* const op : graph.Snapshot()) {
    if (op->body() != nullptr) KILN_RETURN_IF_ERROR(FillUnknownConstants(*op->body()));
    if (!op->Is("constant") || op->Constant("value").known()) continue;
    KILN_ASSIGN_OR_RETURN(Op* const known,
                          Builder(&graph, op).Constant(StandIn(op->Constant("value"))));
    graph.ReplaceAllUses(op, known);
    graph.Erase(op);
  }
  return OkStatus();
}

StatusOr<std::unique_ptr<Module>> WithoutUnknowns(const Module& module) {
  std::unique_ptr<Module> copy = module.Clone();
  for (const auto& [name, parameter] : module.parameters()) {
    if (parameter.value.known()) continue;
    copy->SetParameter({name, StandIn(parameter.value), parameter.trainable});
  }
  for (const auto& function : copy->functions()) {
    KILN_RETURN_IF_ERROR(FillUnknownConstants(*function));
  }
  return copy;
}

StatusOr<std::vector<Array>> InterpretFunction(const Graph& function, uint64_t seed,
                                               Integers integers) {
  std::vector<Array> inputs;
  for (const Op* const input : function.inputs()) {
    inputs.push_back(RandomArray(input->type(), SplitMix64(seed, input->sources()[0]), integers));
  }
  return Interpret(function, inputs);
}

// The relative error that one rounding step of `type` and some steps behind it may make.
double Tolerance(ElementType type) {
  switch (type) {
    case ElementType::kF16: return 2e-2;
    case ElementType::kBF16: return 1e-1;
    case ElementType::kF64: return 1e-9;
    default: return 1e-4;
  }
}

double Tolerance(const Graph& graph) {
  double tolerance = Tolerance(ElementType::kF64);
  for (const auto& op : graph.ops()) {
    if (IsFloat(op->element())) tolerance = std::max(tolerance, Tolerance(op->element()));
    if (op->body() != nullptr) tolerance = std::max(tolerance, Tolerance(*op->body()));
  }
  return tolerance;
}

double LargestFinite(const Array& array) {
  double largest = 0;
  for (const double value : array.floats) {
    if (std::isfinite(value)) largest = std::max(largest, std::abs(value));
  }
  return largest;
}

bool Close(double a, double b, double margin) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
  return a == b || std::abs(a - b) <= margin;
}

std::optional<std::string> ArrayDifference(const Array& before, const Array& after,
                                           double tolerance) {
  if (before.element != after.element || before.shape != after.shape) return "has another type";
  // The second term is for sums of values near 1 that cancel.
  const double margin = tolerance * (LargestFinite(before) + 0.01);
  for (int64_t i = 0; i < before.count(); ++i) {
    const bool same = before.is_float() ? Close(before.floats[i], after.floats[i], margin)
                                        : before.ints[i] == after.ints[i];
    if (same) continue;
    return StrCat("is ", before.GetDouble(i), " before and ", after.GetDouble(i),
                  " after, at element ", i);
  }
  return std::nullopt;
}

// A copy of `before` after at most `limit` rewrites of `pass`, and the last remark.
struct Attempt {
  std::unique_ptr<Module> module;
  std::string last_remark;
  std::optional<std::string> difference;
};

StatusOr<Attempt> TryLimit(const Pass& pass, const Module& before, const ModuleValues& expected,
                           RewriteOptions options, int64_t limit, uint64_t seed) {
  options.limit = limit;
  PassContext context(std::move(options));
  context.EnterPass(pass.name);
  Attempt attempt{before.Clone(), "", std::nullopt};
  KILN_RETURN_IF_ERROR(pass.run(*attempt.module, context).status());
  for (const Remark& remark : context.remarks()) {
    if (remark.kind == Remark::Kind::kFired) attempt.last_remark = remark.ToString();
  }
  KILN_ASSIGN_OR_RETURN(const ModuleValues values, InterpretSeeded(*attempt.module, seed));
  attempt.difference = FirstDifference(before, expected, values);
  return attempt;
}

}  // namespace

StatusOr<ModuleValues> InterpretSeeded(const Module& module, uint64_t seed) {
  KILN_ASSIGN_OR_RETURN(const std::unique_ptr<Module> known, WithoutUnknowns(module));
  ModuleValues values;
  for (const auto& function : known->functions()) {
    auto outputs = InterpretFunction(*function, seed, Integers::kSmall);
    if (!outputs.ok()) outputs = InterpretFunction(*function, seed, Integers::kZero);
    if (!outputs.ok()) return Annotate(outputs.status(), "@" + function->name());
    values.emplace(function->name(), *std::move(outputs));
  }
  return values;
}

std::optional<std::string> FirstDifference(const Module& module, const ModuleValues& before,
                                           const ModuleValues& after) {
  for (const auto& function : module.functions()) {
    const auto expected = before.find(function->name()), found = after.find(function->name());
    if (expected == before.end() || found == after.end() ||
        expected->second.size() != found->second.size()) {
      return StrCat("@", function->name(), " has other outputs");
    }
    for (size_t i = 0; i < expected->second.size(); ++i) {
      const auto difference =
          ArrayDifference(expected->second[i], found->second[i], Tolerance(*function));
      if (!difference) continue;
      return StrCat("@", function->name(), ": output '", function->outputs()[i].name, "' ",
                    *difference);
    }
  }
  return std::nullopt;
}

StatusOr<WrongRewrite> BisectRewrites(const Pass& pass, const Module& before,
                                      const ModuleValues& expected, RewriteOptions options,
                                      int64_t rewrites, uint64_t seed) {
  const auto attempt = [&](int64_t limit) {
    return TryLimit(pass, before, expected, options, limit, seed);
  };
  // The values agree after `good` rewrites and differ after `bad`.
  int64_t good = 0, bad = rewrites;
  while (bad - good > 1) {
    const int64_t middle = good + (bad - good) / 2;
    KILN_ASSIGN_OR_RETURN(const Attempt tried, attempt(middle));
    (tried.difference ? bad : good) = middle;
  }
  KILN_ASSIGN_OR_RETURN(const Attempt last_good, attempt(good));
  KILN_ASSIGN_OR_RETURN(const Attempt first_bad, attempt(bad));
  const bool reproduced = first_bad.difference && !last_good.difference;
  return WrongRewrite{first_bad.difference.value_or(""), reproduced ? first_bad.last_remark : "",
                      UnifiedDiff(Print(*last_good.module), Print(*first_bad.module))};
}

}  // namespace kiln
