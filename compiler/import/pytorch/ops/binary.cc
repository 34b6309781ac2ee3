// Arithmetic, comparison, logic and selection, with the types of results as torch.result_type.
#include "compiler/import/pytorch/node.h"

namespace kiln::pytorch_import {

namespace {

struct Pair {
  StatusOr<Op*> a, b;
  ElementType type;
};

// Both operands in the type of the result.
StatusOr<Pair> ReadPair(Node& n, const char* first, const char* second) {
  KILN_ASSIGN_OR_RETURN(const Operand a, ReadOperand(n, first));
  KILN_ASSIGN_OR_RETURN(const Operand b, ReadOperand(n, second));
  const ElementType type = ResultType({a, b});
  return Pair{ToType(n, a, type), ToType(n, b, type), type};
}

// self + alpha other, self - alpha other, and for rsub other - alpha self.
Status AddOrSub(Node& n) {
  KILN_ASSIGN_OR_RETURN(Pair pair, ReadPair(n, "self", "other"));
  const bool reversed = n.op().name.starts_with("aten.rsub");
  if (const double alpha = n.Float("alpha", 1); alpha != 1) {
    StatusOr<Op*>& scaled = reversed ? pair.a : pair.b;
    scaled = n.builder().MulScalar(scaled, alpha);
  }
  if (reversed) std::swap(pair.a, pair.b);
  if (pair.type == ElementType::kBool) return n.Output(n.Make("or", {pair.a, pair.b}));
  return n.Output(n.Make(n.op().kind, {pair.a, pair.b}));
}

Status Mul(Node& n) {
  KILN_ASSIGN_OR_RETURN(const Pair pair, ReadPair(n, "self", "other"));
  if (pair.type == ElementType::kBool) return n.Output(n.Make("and", {pair.a, pair.b}));
  return n.Output(n.builder().Mul(pair.a, pair.b));
}

Status Arithmetic(Node& n) {
  KILN_ASSIGN_OR_RETURN(const Pair pair, ReadPair(n, "self", "other"));
  return n.Output(n.Make(n.op().kind, {pair.a, pair.b}));
}

// "floor" rounds the quotient down, "trunc" towards 0; without a mode integers become floats.
Status Divide(Node& n, const std::string& mode) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Pair pair, ReadPair(n, "self", "other"));
  const bool is_float = IsFloat(pair.type);
  if (mode.empty()) {
    const ElementType type = FloatOf(pair.type);
    return n.Output(b.Div(b.Cast(pair.a, type), b.Cast(pair.b, type)));
  }
  if (mode != "floor" && mode != "trunc") {
    return InvalidInput("rounding_mode is ", Quote(mode));
  }
  if (mode == "trunc") {
    const auto quotient = b.Div(pair.a, pair.b);
    if (!is_float) return n.Output(quotient);
    return n.Output(
        b.Mul(n.Make("sign", {quotient}), n.Make("floor", {n.Make("abs", {quotient})})));
  }
  if (is_float) return n.Output(n.Make("floor", {b.Div(pair.a, pair.b)}));
  // What is left by the floor divides without a rest.
  return n.Output(b.Div(b.Sub(pair.a, n.Make("mod", {pair.a, pair.b})), pair.b));
}

Status Div(Node& n) { return Divide(n, n.String("rounding_mode")); }
Status FloorDivide(Node& n) { return Divide(n, "floor"); }

// Squares and roots come without pow.
Status Pow(Node& n) {
  Builder& b = n.builder();
  if (n.IsTensor("self") && !n.IsTensor("exponent")) {
    KILN_ASSIGN_OR_RETURN(Op* const x, n.tensor("self"));
    const double exponent = n.Float("exponent");
    if (IsFloat(x->element())) {
      if (exponent == 1) return n.Output(x);
      if (exponent == 2) return n.Output(b.Mul(x, x));
      if (exponent == 3) return n.Output(b.Mul(b.Mul(x, x), x));
      if (exponent == 0.5) return n.Output(n.Make("sqrt", {x}));
      if (exponent == -0.5) return n.Output(n.Make("reciprocal", {n.Make("sqrt", {x})}));
      if (exponent == -1) return n.Output(n.Make("reciprocal", {x}));
    }
  }
  KILN_ASSIGN_OR_RETURN(const Pair pair, ReadPair(n, "self", "exponent"));
  return n.Output(n.Make("pow", {pair.a, pair.b}));
}

Status Logical(Node& n) {
  Builder& b = n.builder();
  return n.Output(n.Make(n.op().kind, {b.Cast(n.tensor("self"), ElementType::kBool),
                                       b.Cast(n.tensor("other"), ElementType::kBool)}));
}

Status Bitwise(Node& n) {
  KILN_ASSIGN_OR_RETURN(const Pair pair, ReadPair(n, "self", "other"));
  if (pair.type == ElementType::kBool) return n.Output(n.Make(n.op().kind, {pair.a, pair.b}));
  return n.Output(n.Make(StrCat("bitwise_", n.op().kind), {pair.a, pair.b}));
}

StatusOr<Op*> Select(Node& n, const StatusOr<Op*>& condition, const char* first,
                     const char* second) {
  KILN_ASSIGN_OR_RETURN(const Pair pair, ReadPair(n, first, second));
  return n.Make("where", {n.builder().Cast(condition, ElementType::kBool), pair.a, pair.b});
}

Status Where(Node& n) { return n.Output(Select(n, n.tensor("condition"), "self", "other")); }

// The value where the mask is true; in the type of self.
Status MaskedFill(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.tensor("self"));
  KILN_ASSIGN_OR_RETURN(const Operand value, ReadOperand(n, "value"));
  return n.Output(n.Make("where", {n.builder().Cast(n.tensor("mask"), ElementType::kBool),
                                   ToType(n, value, x->element()), x}));
}

// self + value tensor1 tensor2, or with their quotient.
Status AddTerm(Node& n) {
  Builder& b = n.builder();
  const auto term = n.Make(n.op().kind, {n.tensor("tensor1"), n.tensor("tensor2")});
  return n.Output(b.Add(n.tensor("self"), b.MulScalar(term, n.Float("value", 1))));
}

// self + weight (end - self).
Status Lerp(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.tensor("self"));
  KILN_ASSIGN_OR_RETURN(const Operand weight, ReadOperand(n, "weight"));
  return n.Output(b.Add(x, b.Mul(ToType(n, weight, x->element()), b.Sub(n.tensor("end"), x))));
}

struct Row {
  const char* name;
  const char* kind;
};

}  // namespace

std::vector<PytorchOp> BinaryOps() {
  std::vector<PytorchOp> ops;
  const auto add = [&ops](const std::string& name, Status (*handler)(Node&),
                          const std::string& kind, const std::string& arguments) {
    ops.push_back(
        {.name = StrCat("aten.", name), .handler = handler, .kind = kind, .arguments = arguments});
  };
  for (const char* const overload : {".Tensor", ".Scalar"}) {
    for (const Row& row : std::initializer_list<Row>{
             {"add", "add"}, {"sub", "sub"}, {"subtract", "sub"}, {"rsub", "sub"}}) {
      add(StrCat(row.name, overload), AddOrSub, row.kind, "self other alpha");
    }
    for (const Row& row : std::initializer_list<Row>{{"fmod", "rem"},
                                                     {"remainder", "mod"},
                                                     {"eq", "equal"},
                                                     {"ne", "not_equal"},
                                                     {"lt", "less"},
                                                     {"le", "less_equal"},
                                                     {"gt", "greater"},
                                                     {"ge", "greater_equal"},
                                                     {"not_equal", "not_equal"},
                                                     {"less", "less"},
                                                     {"less_equal", "less_equal"},
                                                     {"greater", "greater"},
                                                     {"greater_equal", "greater_equal"}}) {
      add(StrCat(row.name, overload), Arithmetic, row.kind, "self other");
    }
    for (const Row& row : std::initializer_list<Row>{{"bitwise_and", "and"},
                                                     {"bitwise_or", "or"},
                                                     {"bitwise_xor", "xor"},
                                                     {"__and__", "and"},
                                                     {"__or__", "or"},
                                                     {"__xor__", "xor"}}) {
      add(StrCat(row.name, overload), Bitwise, row.kind, "self other");
    }
    add(StrCat("mul", overload), Mul, "", "self other");
    add(StrCat("multiply", overload), Mul, "", "self other");
    for (const char* const name : {"div", "divide"}) {
      add(StrCat(name, overload), Div, "", "self other");
      add(StrCat(name, overload, "_mode"), Div, "", "self other rounding_mode");
    }
    add(StrCat("true_divide", overload), Div, "", "self other");
    add(StrCat("masked_fill", overload), MaskedFill, "", "self mask value");
    add(StrCat("lerp", overload), Lerp, "", "self end weight");
  }
  add("floor_divide.default", FloorDivide, "", "self other");
  add("floor_divide.Scalar", FloorDivide, "", "self other");
  for (const Row& row : std::initializer_list<Row>{{"maximum.default", "max"},
                                                   {"minimum.default", "min"},
                                                   {"max.other", "max"},
                                                   {"min.other", "min"}}) {
    add(row.name, Arithmetic, row.kind, "self other");
  }
  for (const char* const overload : {"Tensor_Tensor", "Tensor_Scalar", "Scalar"}) {
    add(StrCat("pow.", overload), Pow, "", "self exponent");
  }
  for (const Row& row : std::initializer_list<Row>{
           {"logical_and", "and"}, {"logical_or", "or"}, {"logical_xor", "xor"}}) {
    add(StrCat(row.name, ".default"), Logical, row.kind, "self other");
  }
  for (const char* const overload : {"self", "ScalarOther", "ScalarSelf", "Scalar"}) {
    add(StrCat("where.", overload), Where, "", "condition self other");
  }
  add("addcmul.default", AddTerm, "mul", "self tensor1 tensor2 value");
  add("addcdiv.default", AddTerm, "div", "self tensor1 tensor2 value");
  return ops;
}

}  // namespace kiln::pytorch_import
