// Tensors out of nothing: arange, full, zeros, ...
#include <cmath>

#include "compiler/import/foreign/build.h"
#include "compiler/import/pytorch/node.h"

namespace kiln::pytorch_import {

namespace {

constexpr double kMaxCount = 1 << 30;

StatusOr<Op*> Filled(Node& n, const Shape& shape, const Number& value, ElementType type) {
  KILN_RETURN_IF_ERROR(CheckedByteSize(type, shape).status());
  return n.builder().Broadcast(ToType(n, {nullptr, value, false}, type), shape);
}

// What fills: an argument, or what the name says.
Number Filling(Node& n) {
  if (n.op().kind == "one") return {1, 1, "", false};
  if (n.op().kind == "zero") return {};
  for (const char* const name : {"fill_value", "value", "s"}) {
    if (const auto number = n.Scalar(name); number) return *number;
  }
  return {};
}

ElementType FillingType(Node& n, const Number& value) {
  if (n.IsBool("fill_value") || n.IsBool("s")) return ElementType::kBool;
  const bool given = n.Has("fill_value");
  return given && !value.is_float ? ElementType::kI64 : ElementType::kF32;
}

// Of the shape in argument "size".
Status Full(Node& n) {
  const Number value = Filling(n);
  const ElementType type = n.Type("dtype", FillingType(n, value));
  const Shape shape = n.Ints("size");
  KILN_RETURN_IF_ERROR(n.Problem());
  return n.Output(Filled(n, shape, value, type));
}

// Of the type of self, and of its shape where none is given.
Status FullLike(Node& n) {
  KILN_ASSIGN_OR_RETURN(const Op* const x, n.tensor("self"));
  const Number value = Filling(n);
  const ElementType type = n.Type("dtype", x->element());
  const Shape shape = n.op().name.starts_with("aten.new_") ? n.Ints("size") : x->shape();
  KILN_RETURN_IF_ERROR(n.Problem());
  return n.Output(Filled(n, shape, value, type));
}

Status FillTensor(Node& n) {
  KILN_ASSIGN_OR_RETURN(const Op* const x, n.tensor("self"));
  return n.Output(
      n.builder().Broadcast(n.builder().Cast(n.tensor("value"), x->element()), x->shape()));
}

// start + i step for i = 0, 1, ... as long as it is before the end.
Status Arange(Node& n) {
  Builder& b = n.builder();
  const std::optional<Number> first = n.Scalar("start"), end = n.Scalar("end"),
                              by = n.Scalar("step");
  KILN_RETURN_IF_ERROR(n.Problem());
  if (!end) return InvalidInput("argument 'end' is missing");
  const Number start = first.value_or(Number()), step = by.value_or(Number{1, 1, "", false});
  const bool floats = start.is_float || end->is_float || step.is_float;
  const ElementType type = n.Type("dtype", floats ? ElementType::kF32 : ElementType::kI64);
  const double count = std::ceil((end->value - start.value) / step.value);
  if (step.value == 0 || !(count >= 0 && count < kMaxCount)) {
    return InvalidInput("from ", start.value, " to ", end->value, " by ", step.value,
                        " is out of range");
  }
  const auto iota = IotaAlong(b, 1, 0, static_cast<int64_t>(count), type);
  if (IsFloat(type)) {
    return n.Output(b.AddScalar(b.MulScalar(iota, step.value), start.value));
  }
  const auto scalar = [&](int64_t value) {
    return b.Constant(Tensor::FromInts(type, {}, {value}));
  };
  return n.Output(b.Add(b.Mul(iota, scalar(step.integer)), scalar(start.integer)));
}

Status Linspace(Node& n) {
  Builder& b = n.builder();
  const double start = n.Float("start"), end = n.Float("end");
  const int64_t steps = n.Int("steps");
  const ElementType type = n.Type("dtype", ElementType::kF32);
  if (steps < 1 || static_cast<double>(steps) > kMaxCount || !IsFloat(type)) {
    return InvalidInput("steps is ", steps, " and the type ", std::string(Name(type)));
  }
  const double step = steps > 1 ? (end - start) / static_cast<double>(steps - 1) : 0;
  return n.Output(b.AddScalar(b.MulScalar(IotaAlong(b, 1, 0, steps, type), step), start));
}

Status Eye(Node& n) {
  Builder& b = n.builder();
  const int64_t rows = n.Int("n"), columns = n.Int("m", rows);
  const ElementType type = n.Type("dtype", ElementType::kF32);
  KILN_RETURN_IF_ERROR(n.Problem());
  KILN_RETURN_IF_ERROR(CheckedByteSize(type, {rows, columns}).status());
  return n.Output(b.Cast(n.Make("equal", {IotaAlong(b, 2, 0, rows, ElementType::kI64),
                                          IotaAlong(b, 2, 1, columns, ElementType::kI64)}),
                         type));
}

}  // namespace

std::vector<PytorchOp> GenerateOps() {
  std::vector<PytorchOp> ops;
  const auto add = [&ops](const std::string& name, Status (*handler)(Node&),
                          const std::string& arguments, const std::string& kind = "") {
    ops.push_back(
        {.name = StrCat("aten.", name), .handler = handler, .kind = kind, .arguments = arguments});
  };
  struct Row {
    const char* name;
    const char* kind;
  };
  for (const Row& row : std::initializer_list<Row>{{"zeros", "zero"}, {"ones", "one"}}) {
    add(StrCat(row.name, ".default"), Full, "size dtype", row.kind);
    add(StrCat(row.name, "_like.default"), FullLike, "self dtype", row.kind);
    add(StrCat("new_", row.name, ".default"), FullLike, "self size dtype", row.kind);
  }
  add("full.default", Full, "size fill_value dtype");
  add("full_like.default", FullLike, "self fill_value dtype");
  add("new_full.default", FullLike, "self size fill_value dtype");
  // What is not filled may hold anything.
  add("empty.memory_format", Full, "size dtype", "zero");
  add("empty_like.default", FullLike, "self dtype", "zero");
  add("new_empty.default", FullLike, "self size dtype", "zero");
  add("fill.Scalar", FullLike, "self value");
  add("fill.Tensor", FillTensor, "self value");
  add("zero.default", FullLike, "self", "zero");
  add("scalar_tensor.default", Full, "s dtype");
  for (const char* const overload : {"default", "start", "start_step"}) {
    add(StrCat("arange.", overload), Arange, "end start step dtype");
  }
  add("linspace.default", Linspace, "start end steps dtype");
  add("eye.default", Eye, "n m dtype");
  add("eye.m", Eye, "n m dtype");
  return ops;
}

}  // namespace kiln::pytorch_import
