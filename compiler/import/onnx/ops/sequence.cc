// Sequences and optionals. Their lengths are known when compiling, so they are lists of ops here
// and nothing of them is left in the graph.
#include "compiler/import/foreign/build.h"
#include "compiler/import/onnx/graph_importer.h"
#include "compiler/import/onnx/node.h"

namespace kiln::onnx_import {

namespace {

using Elements = std::vector<Op*>;

Status SequenceResult(Node& n, Elements elements) {
  n.Define(0, Value::Sequence(std::move(elements)));
  return OkStatus();
}

Status SequenceConstruct(Node& n) {
  KILN_ASSIGN_OR_RETURN(Elements elements, n.operands());
  return SequenceResult(n, std::move(elements));
}

Status SequenceEmpty(Node& n) { return SequenceResult(n, {}); }

// Operand `i` as a position from -length to `last`; `otherwise` when it is left out.
StatusOr<int64_t> Position(Node& n, int i, int64_t length, int64_t last, int64_t otherwise) {
  if (!n.Has(i)) return otherwise;
  KILN_ASSIGN_OR_RETURN(const int64_t position, n.KnownInt(i, "position"));
  if (position < -length || position > last) {
    return InvalidInput("position ", position, " is out of range in a sequence of ", length);
  }
  return position < 0 ? position + length : position;
}

Status SequenceAt(Node& n) {
  KILN_ASSIGN_OR_RETURN(const Elements elements, n.Sequence(0));
  const auto length = static_cast<int64_t>(elements.size());
  KILN_ASSIGN_OR_RETURN(const int64_t position, Position(n, 1, length, length - 1, 0));
  return n.Result(elements[position]);
}

Status SequenceInsert(Node& n) {
  KILN_ASSIGN_OR_RETURN(Elements elements, n.Sequence(0));
  KILN_ASSIGN_OR_RETURN(Op* const element, n.operand(1));
  const auto length = static_cast<int64_t>(elements.size());
  KILN_ASSIGN_OR_RETURN(const int64_t position, Position(n, 2, length, length, length));
  elements.insert(elements.begin() + position, element);
  return SequenceResult(n, std::move(elements));
}

Status SequenceErase(Node& n) {
  KILN_ASSIGN_OR_RETURN(Elements elements, n.Sequence(0));
  const auto length = static_cast<int64_t>(elements.size());
  if (length == 0) return InvalidInput("the sequence is empty");
  KILN_ASSIGN_OR_RETURN(const int64_t position, Position(n, 1, length, length - 1, length - 1));
  elements.erase(elements.begin() + position);
  return SequenceResult(n, std::move(elements));
}

Status SequenceLength(Node& n) {
  KILN_ASSIGN_OR_RETURN(const Elements elements, n.Sequence(0));
  return n.ConstantResult(
      Tensor::FromInts(ElementType::kI64, {}, {static_cast<int64_t>(elements.size())}));
}

Status ConcatFromSequence(Node& n) {
  KILN_ASSIGN_OR_RETURN(const Elements elements, n.Sequence(0));
  if (elements.empty()) return InvalidInput("the sequence is empty");
  const bool new_axis = n.Int("new_axis") != 0;
  KILN_ASSIGN_OR_RETURN(const int64_t axis,
                        NormalAxis(n.Int("axis"), Rank(elements[0]) + (new_axis ? 1 : 0)));
  std::vector<StatusOr<Op*>> parts;
  for (Op* const element : elements) {
    Shape shape = element->shape();
    if (new_axis && axis > static_cast<int64_t>(shape.size())) {
      return InvalidInput("the elements have different ranks");
    }
    if (new_axis) shape.insert(shape.begin() + axis, 1);
    parts.push_back(n.builder().Reshape(element, std::move(shape)));
  }
  return n.Result(parts.size() == 1 ? parts[0] : n.Make("concat", parts, {{"axis", axis}}));
}

// The extents of the parts: those given, or as many of one extent as fit and the rest.
StatusOr<std::vector<int64_t>> PartSizes(Node& n, int64_t extent) {
  constexpr int64_t kMaxParts = 1 << 16;
  int64_t size = 1;
  if (n.Has(1)) {
    KILN_ASSIGN_OR_RETURN(const TensorType type, n.OperandType(1));
    KILN_ASSIGN_OR_RETURN(const auto sizes, n.KnownInts(1, "split"));
    if (type.rank() == 1) return sizes;
    if (sizes.size() != 1) return InvalidInput("operand 'split' is ", type.ToString());
    size = sizes[0];
  }
  if (size < 1 || extent / size > kMaxParts) {
    return InvalidInput("an extent of ", extent, " cannot be split into parts of ", size);
  }
  std::vector<int64_t> sizes;
  for (int64_t at = 0; at < extent; at += size) sizes.push_back(std::min(size, extent - at));
  return sizes;
}

Status SplitToSequence(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.operand(0));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(n.Int("axis"), Rank(x)));
  const int64_t extent = x->shape()[axis];
  KILN_ASSIGN_OR_RETURN(const auto sizes, PartSizes(n, extent));
  const bool select = !n.Has(1) && n.Int("keepdims", 1) == 0;
  Elements elements;
  int64_t at = 0;
  for (const int64_t size : sizes) {
    if (size < 0 || size > extent - at) {
      return InvalidInput("operand 'split' does not sum to the extent ", extent);
    }
    KILN_ASSIGN_OR_RETURN(elements.emplace_back(), select
                                                       ? SelectAxis(n.builder(), x, axis, at)
                                                       : SliceAxis(n.builder(), x, axis, at, size));
    at += size;
  }
  if (at != extent) return InvalidInput("operand 'split' does not sum to the extent ", extent);
  return SequenceResult(n, std::move(elements));
}

// The body for each element of the first sequence; operands that are tensors are the same each
// time.
Status SequenceMap(Node& n) {
  const onnx::GraphProto& body = n.Subgraph("body");
  KILN_ASSIGN_OR_RETURN(const Elements first, n.Sequence(0));
  KILN_ASSIGN_OR_RETURN(Scope scope, n.importer().OpenBody(body, n.scope()));
  std::vector<Elements> results(n.num_results());
  for (size_t step = 0; step < first.size(); ++step) {
    std::vector<Value> inputs;
    for (int i = 0; i < n.num_operands(); ++i) {
      if (!n.Has(i)) return InvalidInput("operand ", i, " is missing");
      const Value& value = *n.value(i);
      if (!value.is_sequence()) {
        KILN_ASSIGN_OR_RETURN(Op* const same, n.operand(i));
        inputs.push_back(Value::FromOp(same));
      } else if (value.elements.size() == first.size()) {
        inputs.push_back(Value::FromOp(value.elements[step]));
      } else {
        return InvalidInput("the sequences have different lengths");
      }
    }
    KILN_ASSIGN_OR_RETURN(auto values, n.importer().ImportBody(body, scope, inputs));
    n.Rename();
    if (values.size() != results.size()) {
      return InvalidInput("the subgraph gives ", static_cast<int64_t>(values.size()), " results");
    }
    for (size_t i = 0; i < values.size(); ++i) {
      if (values[i].poisoned()) {
        n.PoisonAll();
        return OkStatus();
      }
      KILN_ASSIGN_OR_RETURN(results[i].emplace_back(), n.importer().ToOp(&values[i]));
    }
  }
  for (size_t i = 0; i < results.size(); ++i) {
    n.Define(static_cast<int>(i), Value::Sequence(std::move(results[i])));
  }
  return OkStatus();
}

// An optional that is there is what it holds.
Status Optional(Node& n) {
  if (n.Has(0) && n.value(0)->CheckTensor().ok()) return n.Result(n.operand(0));
  n.Define(0, n.Has(0) ? *n.value(0) : Value::Absent());
  return OkStatus();
}

Status OptionalHasElement(Node& n) {
  const bool has = n.Has(0) && n.value(0)->kind != Value::Kind::kAbsent;
  return n.ConstantResult(Tensor::FromInts(ElementType::kBool, {}, {has ? 1 : 0}));
}

Status OptionalGetElement(Node& n) {
  if (!n.Has(0) || n.value(0)->kind == Value::Kind::kAbsent) {
    return InvalidInput("the optional is absent");
  }
  return Optional(n);
}

}  // namespace

std::vector<OnnxOp> SequenceOps() {
  std::vector<OnnxOp> ops;
  ops.push_back({.name = "SequenceConstruct", .handler = SequenceConstruct, .operands = {1, kAny}});
  ops.push_back({.name = "SequenceEmpty",
                 .handler = SequenceEmpty,
                 .operands = {0, 0},
                 .attributes = {Int("dtype")}});
  ops.push_back({.name = "SequenceAt",
                 .handler = SequenceAt,
                 .operands = {2, 2},
                 .limits = "known position"});
  ops.push_back({.name = "SequenceInsert",
                 .handler = SequenceInsert,
                 .operands = {2, 3},
                 .limits = "known position"});
  ops.push_back({.name = "SequenceErase",
                 .handler = SequenceErase,
                 .operands = {1, 2},
                 .limits = "known position"});
  ops.push_back({.name = "SequenceLength", .handler = SequenceLength});
  ops.push_back({.name = "ConcatFromSequence",
                 .handler = ConcatFromSequence,
                 .attributes = {Required(Int("axis")), Int("new_axis")}});
  ops.push_back({.name = "SplitToSequence",
                 .handler = SplitToSequence,
                 .operands = {1, 2},
                 .attributes = {Int("axis"), Int("keepdims")},
                 .limits = "known parts"});
  ops.push_back({.name = "SequenceMap",
                 .handler = SequenceMap,
                 .operands = {1, kAny},
                 .max_results = kAny,
                 .attributes = {Required(Body("body"))},
                 .limits = "unrolled"});
  const AttributeSpec type = {"type", onnx::AttributeProto::TYPE_PROTO};
  ops.push_back(
      {.name = "Optional", .handler = Optional, .operands = {0, 1}, .attributes = {type}});
  ops.push_back({.name = "OptionalHasElement", .handler = OptionalHasElement, .operands = {0, 1}});
  ops.push_back({.name = "OptionalGetElement", .handler = OptionalGetElement});
  return ops;
}

}  // namespace kiln::onnx_import
