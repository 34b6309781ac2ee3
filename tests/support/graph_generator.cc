#include "tests/support/graph_generator.h"

#include <algorithm>
#include <cmath>

#include "ir/eval/interpreter.h"
#include "tests/support/shrink.h"

namespace kiln {

namespace {

constexpr int64_t kMaxElements = 4096;
constexpr double kMaxMagnitude = 1e4;  // stays below the largest f16 in the next op
constexpr int kMaxSinks = 12;

// One rounding of the type, relative.
double Epsilon(ElementType type) {
  switch (type) {
    case ElementType::kF16: return 0x1p-11;
    case ElementType::kBF16: return 0x1p-8;
    default: return 0x1p-24;  // f64 too: its kernels may use the polynomials of f32
  }
}

}  // namespace

GraphGenerator::GraphGenerator(uint64_t seed, ElementType float_type)
    : seed_(seed),
      float_type_(float_type),
      random_(seed, "graph"),
      module_(std::make_unique<Module>()),
      graph_(module_->AddFunction("forward")),
      builder_(graph_) {
  module_->name = StrCat("random", seed);
}

int64_t GraphGenerator::RandomExtent() {
  if (random_.Chance(0.02)) return 0;
  return random_.Pick<int64_t>({1, 1, 2, 3, 4, 5, 7, 8, 9, 13, 15, 16, 17, 31, 33});
}

Shape GraphGenerator::RandomShape(int min_rank, int max_rank) {
  Shape shape;
  const int64_t rank = random_.Int(min_rank, max_rank);
  for (int64_t d = 0; d < rank; ++d) shape.push_back(RandomExtent());
  while (ElementCount(shape) > kMaxElements) shape[random_.Next() % shape.size()] = 2;
  return shape;
}

Op* GraphGenerator::Value(const std::function<bool(const Op&)>& accept) {
  std::vector<Op*> accepted;
  for (Op* const op : values_) {
    if (accept(*op)) accepted.push_back(op);
  }
  if (accepted.empty()) return nullptr;
  constexpr size_t kRecent = 4;
  if (accepted.size() > kRecent && random_.Chance(0.6)) {
    return accepted[accepted.size() - 1 - random_.Next() % kRecent];
  }
  return random_.Pick(accepted);
}

Op* GraphGenerator::FloatValue(int min_rank, int max_rank) {
  Op* const value = random_.Chance(0.15) ? nullptr : Value([&](const Op& op) {
    return op.element() == float_type_ && op.type().rank() >= min_rank &&
           op.type().rank() <= max_rank && op.type().count() > 0;
  });
  if (value != nullptr) return value;
  Shape shape = RandomShape(min_rank, std::min(max_rank, std::max(min_rank, 4)));
  for (int64_t& extent : shape) extent = std::max<int64_t>(extent, 1);
  return Leaf(float_type_, shape);
}

// A leaf has a valid type, and its name is new, so making it cannot fail.
Op* GraphGenerator::Leaf(ElementType element, Shape shape, Range range) {
  const TensorType type{element, std::move(shape), {}};
  const std::string name = StrCat("x", leaves_++);
  Array array = RandomArray(type, seed_, name, range);
  Op* op;
  if (random_.Chance(0.5)) {
    op = *builder_.Input(name, type);
    module_->metadata["range " + name] = StrCat(range.low, " ", range.high);
  } else if (random_.Chance(0.7)) {
    module_->SetParameter({name, array.ToTensor()});
    op = *builder_.Parameter(name);
  } else {
    op = *builder_.Constant(array.ToTensor());
  }
  samples_[op] = {array, array};
  values_.push_back(op);
  return op;
}

Op* GraphGenerator::IndexLeaf(Shape shape, const std::vector<int64_t>& values) {
  const ElementType element = random_.Pick<ElementType>({ElementType::kI32, ElementType::kI64});
  const Tensor tensor = Tensor::FromInts(element, std::move(shape), values);
  Op* op;
  if (random_.Chance(0.5)) {
    const std::string name = StrCat("indices", leaves_++);
    module_->SetParameter({name, tensor});
    op = *builder_.Parameter(name);
  } else {
    op = *builder_.Constant(tensor);
  }
  samples_[op] = {Array::FromTensor(tensor), Array::FromTensor(tensor)};
  values_.push_back(op);
  return op;
}

// Rounds every value once, up or down; values that the type holds exactly are taken for exact.
void GraphGenerator::Disturb(Array& array) {
  const ElementType rounded =
      array.element == ElementType::kF64 ? ElementType::kF32 : array.element;
  for (double& value : array.floats) {
    if (RoundTo(rounded, value) != value) value *= 1 + random_.Uniform(-2, 2) * Epsilon(rounded);
  }
}

bool GraphGenerator::Comparable(const Sample& sample) const {
  for (const double value : sample.exact.floats) {
    if (!(std::abs(value) <= kMaxMagnitude)) return false;
  }
  const double limit = 64 * Epsilon(float_type_);
  return !Mismatch(sample.exact, sample.disturbed, {limit, limit});
}

bool GraphGenerator::Evaluate(const Op& op) {
  if (op.type().count() > 4 * kMaxElements) return false;
  std::vector<const Array*> exact, disturbed;
  for (const Op* const operand : op.operands()) {
    exact.push_back(&samples_.at(operand).exact);
    disturbed.push_back(&samples_.at(operand).disturbed);
  }
  auto exact_result = EvaluateOp(op, exact);
  auto disturbed_result = EvaluateOp(op, disturbed);
  if (!exact_result.ok() || !disturbed_result.ok()) return false;
  Sample sample = {std::move(*exact_result), std::move(*disturbed_result)};
  Disturb(sample.disturbed);
  if (!Comparable(sample)) return false;
  samples_[&op] = std::move(sample);
  return true;
}

bool GraphGenerator::Try(const std::function<StatusOr<Op*>(GraphGenerator&)>& recipe) {
  bool keep = recipe(*this).ok();
  std::vector<Op*> fresh;
  for (const auto& op : graph_->ops()) {
    if (!samples_.contains(op.get())) fresh.push_back(op.get());
  }
  for (const Op* const op : fresh) keep = keep && Evaluate(*op);
  if (keep) {
    values_.insert(values_.end(), fresh.begin(), fresh.end());
    return true;
  }
  for (auto it = fresh.rbegin(); it != fresh.rend(); ++it) {
    samples_.erase(*it);
    graph_->Erase(*it);
  }
  return false;
}

std::unique_ptr<Module> GraphGenerator::Finish() {
  int outputs = 0;
  for (auto it = values_.rbegin(); it != values_.rend(); ++it) {
    const bool sink = (*it)->users().empty() && !(*it)->HasTrait(kLeaf);
    const bool inner = outputs > 0 && random_.Chance(0.05);
    if (outputs < kMaxSinks && (sink || inner)) graph_->AddOutput(StrCat("y", outputs++), *it);
  }
  return WithoutUnused(*module_);
}

}  // namespace kiln
