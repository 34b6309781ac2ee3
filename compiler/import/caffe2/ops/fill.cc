// Fills: tensors given in the net, constants, and random weights.
#include "compiler/import/caffe/filler.h"
#include "compiler/import/caffe2/node.h"
#include "compiler/import/caffe2/tensor.h"

namespace kiln::caffe2_import {

namespace {

// The shape from argument `shape`, or that of (or the one held in) input 0, and extra_shape.
StatusOr<Shape> FillShape(Node& n) {
  Shape shape = n.Ints("shape");
  if (n.Has(0)) {
    if (!shape.empty()) return InvalidInput("has both an input and a shape");
    if (n.Int("input_as_shape") != 0) {
      KILN_ASSIGN_OR_RETURN(shape, n.KnownInts(0));
    } else {
      KILN_ASSIGN_OR_RETURN(Op* const like, n.input(0));
      shape = like->shape();
    }
  }
  for (const int64_t extent : n.Ints("extra_shape")) shape.push_back(extent);
  KILN_RETURN_IF_ERROR(CheckedByteSize(ElementType::kI64, shape).status());
  return shape;
}

// What the node gives is a weight, or, if it holds integers, a constant.
Status Given(Node& n, Tensor tensor) {
  const std::string& name = n.output_name(0);
  if (IsFloat(tensor.type().element)) {
    n.values().SetParameter(name, std::move(tensor));
  } else {
    n.values().SetConstant(name, std::move(tensor));
  }
  return OkStatus();
}

Status GivenTensorFill(Node& n) {
  KILN_ASSIGN_OR_RETURN(const Shape shape, FillShape(n));
  const caffe2::Argument* const values = n.Find("values");
  if (values == nullptr) return InvalidInput("argument 'values' is missing");
  const ElementType element = *ParseElementType(n.op().kind);
  const int64_t count = ElementCount(shape);
  const int64_t found = IsFloat(element) ? values->floats_size() : values->ints_size();
  if (found != count) {
    return InvalidInput("argument 'values' has ", found, " numbers, the shape ", FormatInts(shape),
                        " needs ", count);
  }
  if (IsFloat(element)) {
    return Given(
        n, Tensor::FromDoubles(element, shape, {values->floats().begin(), values->floats().end()}));
  }
  return Given(n, Tensor::FromInts(element, shape, {values->ints().begin(), values->ints().end()}));
}

// The bytes of one string.
Status GivenTensorByteStringFill(Node& n) {
  KILN_ASSIGN_OR_RETURN(const Shape shape, FillShape(n));
  const caffe2::Argument* const values = n.Find("values");
  if (values == nullptr || values->strings_size() != 1 ||
      static_cast<int64_t>(values->strings(0).size()) != ElementCount(shape)) {
    return InvalidInput("argument 'values' must be one string of ", ElementCount(shape), " bytes");
  }
  const std::string& bytes = values->strings(0);
  return Given(n, Tensor({ElementType::kU8, shape, {}}, {bytes.begin(), bytes.end()}));
}

Status ConstantFill(Node& n) {
  KILN_ASSIGN_OR_RETURN(const Shape shape, FillShape(n));
  const caffe2::Argument* const value = n.Find("value");
  const bool integer = value != nullptr && value->has_i();
  const int64_t otherwise = integer ? 10 : 1;  // i64, f32
  KILN_ASSIGN_OR_RETURN(const ElementType element, ToElementType(n.Int("dtype", otherwise)));
  const double number = value == nullptr ? 0
                        : integer        ? static_cast<double>(value->i())
                                         : value->f();
  return n.Output(n.builder().Broadcast(n.builder().Scalar(element, number), shape));
}

// Random weights: filled from the seed that the options give, else unknown.
Status RandomFill(Node& n) {
  KILN_ASSIGN_OR_RETURN(const Shape shape, FillShape(n));
  caffe::FillerParameter filler;
  filler.set_type(n.op().kind);
  filler.set_min(static_cast<float>(n.Float("min", 0)));
  filler.set_max(static_cast<float>(n.Float("max", 1)));
  filler.set_mean(static_cast<float>(n.Float("mean", 0)));
  filler.set_std(static_cast<float>(n.Float("std", 1)));
  if (n.op().name == "MSRAFill") filler.set_variance_norm(caffe::FillerParameter::FAN_OUT);
  const std::string& name = n.output_name(0);
  const auto seed = n.values().options().param_seed;
  if (!seed) {
    n.values().SetParameter(name,
                            Tensor::Unknown({ElementType::kF32, shape, {}}, ContentHash(name)));
    return OkStatus();
  }
  KILN_ASSIGN_OR_RETURN(Tensor tensor, caffe_import::Fill(filler, shape, *seed, name));
  n.values().SetParameter(name, std::move(tensor));
  return OkStatus();
}

}  // namespace

std::vector<Caffe2Op> FillOps() {
  std::vector<Caffe2Op> ops;
  struct Row {
    const char* name;
    const char* kind;
  };
  const Arity optional = {0, 1};
  const std::vector<std::string> shape = {"shape", "extra_shape", "input_as_shape", "run_once"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.end(), shape.begin(), shape.end());
    return more;
  };
  for (const Row& row : std::initializer_list<Row>{{"GivenTensorFill", "f32"},
                                                   {"GivenTensorDoubleFill", "f64"},
                                                   {"GivenTensorIntFill", "i32"},
                                                   {"GivenTensorInt64Fill", "i64"},
                                                   {"GivenTensorBoolFill", "bool"}}) {
    ops.push_back({.name = row.name,
                   .handler = GivenTensorFill,
                   .kind = row.kind,
                   .inputs = optional,
                   .arguments = with({"values", "dtype"})});
  }
  ops.push_back({.name = "GivenTensorByteStringToUInt8Fill",
                 .handler = GivenTensorByteStringFill,
                 .inputs = optional,
                 .arguments = with({"values", "dtype"})});
  ops.push_back({.name = "ConstantFill",
                 .handler = ConstantFill,
                 .inputs = optional,
                 .arguments = with({"value", "dtype"})});
  for (const Row& row : std::initializer_list<Row>{{"XavierFill", "xavier"},
                                                   {"MSRAFill", "msra"},
                                                   {"UniformFill", "uniform"},
                                                   {"GaussianFill", "gaussian"}}) {
    ops.push_back({.name = row.name,
                   .handler = RandomFill,
                   .kind = row.kind,
                   .inputs = optional,
                   .arguments = with({"min", "max", "mean", "std"}),
                   .limits = "weights, filled from --param-seed"});
  }
  return ops;
}

}  // namespace kiln::caffe2_import
