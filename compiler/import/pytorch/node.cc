#include "compiler/import/pytorch/node.h"

#include <algorithm>

#include "compiler/import/foreign/build.h"
#include "compiler/import/pytorch/program_importer.h"

namespace kiln::pytorch_import {

Builder& Node::builder() { return importer_->values().builder(); }

const Argument* Node::Find(const std::string& name) const {
  const auto it = node_.arguments.find(name);
  return it == node_.arguments.end() || it->second.kind == Argument::Kind::kNone ? nullptr
                                                                                 : &it->second;
}

bool Node::Has(const std::string& name) const { return Find(name) != nullptr; }

bool Node::IsTensor(const std::string& name) const {
  const Argument* const argument = Find(name);
  return argument != nullptr && argument->kind == Argument::Kind::kTensors;
}

bool Node::IsBool(const std::string& name) const {
  const Argument* const argument = Find(name);
  return argument != nullptr && argument->kind == Argument::Kind::kBools;
}

StatusOr<Op*> Node::tensor(const std::string& name) {
  const Argument* const argument = Find(name);
  if (argument == nullptr) return InvalidInput("argument '", name, "' is missing");
  if (argument->kind != Argument::Kind::kTensors || argument->is_list) {
    return InvalidInput("argument '", name, "' is no tensor");
  }
  return importer_->values().Get(argument->names[0]);
}

StatusOr<std::vector<Op*>> Node::optional_tensors(const std::string& name) {
  const Argument* const argument = Find(name);
  if (argument == nullptr) return InvalidInput("argument '", name, "' is missing");
  if (argument->kind != Argument::Kind::kTensors) {
    return InvalidInput("argument '", name, "' is no list of tensors");
  }
  std::vector<Op*> ops;
  for (const std::string& value : argument->names) {
    ops.push_back(nullptr);
    if (value.empty()) continue;
    KILN_ASSIGN_OR_RETURN(ops.back(), importer_->values().Get(value));
  }
  return ops;
}

StatusOr<std::vector<Op*>> Node::tensors(const std::string& name) {
  KILN_ASSIGN_OR_RETURN(std::vector<Op*> ops, optional_tensors(name));
  if (ops.empty() || std::ranges::count(ops, nullptr) > 0) {
    return InvalidInput("argument '", name, "' needs at least one tensor and none that is None");
  }
  return ops;
}

StatusOr<Op*> Node::statistic(const std::string& name) {
  KILN_ASSIGN_OR_RETURN(Op* const op, tensor(name));
  importer_->values().Freeze(Find(name)->names[0]);
  return op;
}

void Node::Malformed(const std::string& name) {
  if (problem_.ok()) problem_ = InvalidInput("argument '", name, "' is not of the expected kind");
}

std::vector<Number> Node::Numbers(const std::string& name) {
  const Argument* const argument = Find(name);
  if (argument == nullptr) return {};
  std::vector<Number> numbers = argument->numbers;
  const bool right = argument->kind == Argument::Kind::kNumbers ||
                     argument->kind == Argument::Kind::kBools ||
                     (argument->kind == Argument::Kind::kTensors && argument->names.empty());
  if (!right) Malformed(name);
  for (Number& number : numbers) {
    if (number.symbol.empty()) continue;
    const auto value = importer_->Integer(number.symbol);
    if (!value.ok()) {
      if (problem_.ok()) problem_ = value.status();
      continue;
    }
    number = {static_cast<double>(*value), *value, "", false};
  }
  return numbers;
}

Number Node::One(const std::string& name, const Number& otherwise) {
  if (!Has(name)) return otherwise;
  const std::vector<Number> numbers = Numbers(name);
  if (numbers.size() == 1) return numbers[0];
  Malformed(name);
  return otherwise;
}

int64_t Node::Int(const std::string& name, int64_t otherwise) {
  const Number number = One(name, {0, otherwise, "", false});
  if (number.is_float) Malformed(name);
  return number.integer;
}

double Node::Float(const std::string& name, double otherwise) {
  return One(name, {otherwise, 0, "", true}).value;
}

bool Node::Bool(const std::string& name, bool otherwise) {
  return One(name, {0, otherwise ? 1 : 0, "", false}).integer != 0;
}

std::string Node::String(const std::string& name, const std::string& otherwise) const {
  const Argument* const argument = Find(name);
  return argument == nullptr ? otherwise : argument->text;
}

std::vector<int64_t> Node::Ints(const std::string& name) {
  std::vector<int64_t> values;
  for (const Number& number : Numbers(name)) {
    if (number.is_float) Malformed(name);
    values.push_back(number.integer);
  }
  return values;
}

std::vector<double> Node::Floats(const std::string& name) {
  std::vector<double> values;
  for (const Number& number : Numbers(name)) values.push_back(number.value);
  return values;
}

std::optional<Number> Node::Scalar(const std::string& name) {
  if (!Has(name)) return std::nullopt;
  return One(name, {});
}

ElementType Node::Type(const std::string& name, ElementType otherwise) {
  const Argument* const argument = Find(name);
  if (argument == nullptr) return otherwise;
  if (argument->kind != Argument::Kind::kScalarType || argument->numbers.size() != 1) {
    Malformed(name);
    return otherwise;
  }
  const auto type = ToElementType(argument->numbers[0].integer);
  if (!type && problem_.ok()) {
    problem_ = Unsupported("element type ", argument->numbers[0].integer, " is not supported");
  }
  return type.value_or(otherwise);
}

Status Node::Output(int i, const StatusOr<Op*>& value) {
  KILN_RETURN_IF_ERROR(problem_);
  KILN_RETURN_IF_ERROR(value.status());
  if (i >= num_results() || node_.results[i].empty()) return OkStatus();
  importer_->values().Set(node_.results[i], *value);
  return OkStatus();
}

Status Node::OutputInteger(int64_t value) {
  KILN_RETURN_IF_ERROR(problem_);
  if (num_results() != 1) return InvalidInput("has ", num_results(), " results, expected 1");
  importer_->SetInteger(node_.results[0], value);
  return OkStatus();
}

Status Node::CheckResults() {
  for (const std::string& result : node_.results) {
    if (!importer_->values().Has(result)) continue;
    KILN_ASSIGN_OR_RETURN(const TensorType type, importer_->values().TypeOf(result));
    KILN_RETURN_IF_ERROR(importer_->CheckAgainstProgram(result, type));
  }
  return OkStatus();
}

StatusOr<Operand> ReadOperand(Node& n, const std::string& name) {
  Operand operand;
  if (n.IsTensor(name)) {
    KILN_ASSIGN_OR_RETURN(operand.op, n.tensor(name));
    return operand;
  }
  const std::optional<Number> number = n.Scalar(name);
  KILN_RETURN_IF_ERROR(n.Problem());
  if (!number) return InvalidInput("argument '", name, "' is missing");
  operand.number = *number;
  operand.is_bool = n.IsBool(name);
  return operand;
}

namespace {

int Category(ElementType type) {
  if (IsFloat(type)) return 2;
  return type == ElementType::kBool ? 0 : 1;
}

// torch.promote_types.
ElementType Promote(ElementType a, ElementType b) {
  if (a == b) return a;
  if (Category(a) != Category(b)) return Category(a) > Category(b) ? a : b;
  if (IsFloat(a)) {
    const bool halves = ByteSize(a) == 2 && ByteSize(b) == 2;
    return halves ? ElementType::kF32 : ByteSize(a) > ByteSize(b) ? a : b;
  }
  if (IsSigned(a) == IsSigned(b)) return ByteSize(a) > ByteSize(b) ? a : b;
  const ElementType whole = IsSigned(a) ? a : b, natural = IsSigned(a) ? b : a;
  if (ByteSize(whole) > ByteSize(natural)) return whole;
  switch (ByteSize(natural)) {
    case 1: return ElementType::kI16;
    case 2: return ElementType::kI32;
    default: return ElementType::kI64;
  }
}

ElementType NumberType(const Operand& operand) {
  if (operand.is_bool) return ElementType::kBool;
  return operand.number.is_float ? ElementType::kF32 : ElementType::kI64;
}

}  // namespace

ElementType ResultType(const std::vector<Operand>& operands) {
  // Of numbers, of tensors without dimensions, of tensors with.
  std::optional<ElementType> types[3];
  for (const Operand& operand : operands) {
    const int rank = operand.op == nullptr ? 0 : Rank(operand.op) == 0 ? 1 : 2;
    const ElementType type = rank == 0 ? NumberType(operand) : operand.op->element();
    types[rank] = types[rank] ? Promote(*types[rank], type) : type;
  }
  std::optional<ElementType> result;
  for (const int rank : {2, 1, 0}) {
    if (!types[rank]) continue;
    if (!result || Category(*types[rank]) > Category(*result)) result = types[rank];
  }
  return result.value_or(ElementType::kF32);
}

StatusOr<Op*> ToType(Node& n, const Operand& operand, ElementType type) {
  if (operand.op != nullptr) return n.builder().Cast(operand.op, type);
  if (IsFloat(type)) return n.builder().Scalar(type, operand.number.value);
  return n.builder().Constant(Tensor::FromInts(type, {}, {operand.number.integer}));
}

}  // namespace kiln::pytorch_import
