#include "compiler/import/pytorch/program_importer.h"

#include "compiler/import/pytorch/node.h"

namespace kiln::pytorch_import {

namespace {

void CheckNode(const ProgramNode& node, ProblemList& problems) {
  const std::string label = Printable(node.label);
  const Target target = FindTarget(node.target);
  if (target.op == nullptr) {
    return problems.Add(label,
                        Unsupported("operator ", Printable(node.target), " is not supported"));
  }
  for (const auto& [name, argument] : node.arguments) {
    if (argument.kind == Argument::Kind::kNone || Understands(*target.op, name)) continue;
    problems.Add(label, Unsupported("argument '", Printable(name), "' of operator ",
                                    target.op->name, " is not supported"));
  }
}

// The tensor in the first argument; empty where it is none.
std::string FirstTensor(const ProgramNode& node, const PytorchOp& op) {
  for (const std::string& name : StrSplit(op.arguments, ' ')) {
    const auto it = node.arguments.find(name);
    if (it == node.arguments.end()) continue;
    return it->second.names.size() == 1 ? it->second.names[0] : std::string();
  }
  return "";
}

}  // namespace

Status Preflight(const Program& program) {
  ProblemList problems;
  for (const InputSpec& input : program.inputs) {
    // Values that are fixed are in the nodes already.
    if (input.kind != InputSpec::Kind::kOther || input.what == "constant_input") continue;
    problems.Add("", Unsupported("inputs of kind ", Printable(input.what), " are not supported"));
  }
  for (const OutputSpec& output : program.outputs) {
    if (output.kind != OutputSpec::Kind::kOther) continue;
    problems.Add("", Unsupported("the program changes '", Printable(output.target), "' (",
                                 Printable(output.what),
                                 "), which is not supported; call eval() before the export"));
  }
  for (const ProgramNode& node : program.nodes) CheckNode(node, problems);
  return problems.ToStatus();
}

StatusOr<int64_t> ProgramImporter::Integer(const std::string& name) const {
  const auto it = integers_.find(name);
  if (it != integers_.end()) return it->second;
  return InvalidInput("integer '", Printable(name), "' is not defined");
}

Status ProgramImporter::CheckAgainstProgram(const std::string& name, const TensorType& type) const {
  const auto it = program_.values.find(name);
  if (it == program_.values.end()) return OkStatus();
  const TensorMeta& meta = it->second;
  bool same = meta.element == type.element && meta.sizes.size() == type.shape.size();
  Shape expected;
  for (size_t d = 0; d < meta.sizes.size(); ++d) {
    const int64_t extent = meta.sizes[d].value;
    same = same && (extent < 0 || extent == type.shape[d]);
    expected.push_back(extent);
  }
  if (same) return OkStatus();
  return InvalidInput("result '", Printable(name), "' is ", type.ToString(),
                      ", but the program says ",
                      meta.element ? std::string(Name(*meta.element)) : std::string("another type"),
                      FormatInts(expected));
}

Status ProgramImporter::MakeUserInput(const std::string& name) {
  inputs_.insert(name);
  const auto it = program_.values.find(name);
  if (it == program_.values.end()) return InvalidInput("the program does not say its type");
  const TensorMeta& meta = it->second;
  if (!meta.element) return Unsupported("its element type is not supported");
  Shape declared;
  for (const Extent& extent : meta.sizes) {
    const auto known = symbols_.find(extent.symbol);
    declared.push_back(extent.value >= 0         ? extent.value
                       : known != symbols_.end() ? known->second
                                                 : -1);
  }
  KILN_ASSIGN_OR_RETURN(const Shape shape, InputShape(name, declared, values_.options()));
  for (size_t d = 0; d < shape.size(); ++d) {
    if (!meta.sizes[d].symbol.empty()) symbols_[meta.sizes[d].symbol] = shape[d];
  }
  return values_.SetInput(name, {*meta.element, shape, {}});
}

Status ProgramImporter::MakeParameter(const InputSpec& spec) {
  const Tensors* const places[] = {&archive_.weights, &archive_.constants};
  const Tensor* tensor = nullptr;
  for (const Tensors* const place : places) {
    const auto it = place->find(spec.target);
    if (it != place->end() && tensor == nullptr) tensor = &it->second;
  }
  if (tensor == nullptr) return InvalidInput("the archive has no tensor of this name");
  KILN_RETURN_IF_ERROR(CheckAgainstProgram(spec.name, tensor->type()));
  if (spec.kind == InputSpec::Kind::kConstant) {
    values_.SetConstant(spec.name, *tensor);
    return OkStatus();
  }
  // Parameters that are one in memory are one.
  Op*& op = parameters_[{tensor->bytes().data(), tensor->shape()}];
  if (op == nullptr || tensor->bytes().empty()) {
    Builder& b = values_.builder();
    Module* const module = b.graph()->module();
    const std::string name = UniqueParameterName(*module, spec.target);
    const auto meta = program_.values.find(spec.name);
    const bool trainable = spec.kind == InputSpec::Kind::kParameter &&
                           IsFloat(tensor->type().element) &&
                           (meta == program_.values.end() || meta->second.requires_grad);
    module->SetParameter({name, *tensor, trainable});
    b.SetSources({Printable(spec.target)});
    KILN_ASSIGN_OR_RETURN(op, b.Parameter(name));
    b.Rename(op, SsaName(name));
  }
  values_.Set(spec.name, op);
  return OkStatus();
}

Status ProgramImporter::MakeInput(const InputSpec& spec) {
  PlaceValue(spec.name, NewPlace());
  switch (spec.kind) {
    case InputSpec::Kind::kUser:
      if (spec.name.empty()) {
        if (spec.what != "as_tensor") return OkStatus();  // a fixed value
        return InvalidInput("an input has no name");
      }
      return Annotate(MakeUserInput(spec.name), StrCat("input '", Printable(spec.name), "'"));
    case InputSpec::Kind::kOther: return OkStatus();
    default:
      frozen_[spec.name] = spec.target;
      return Annotate(MakeParameter(spec), StrCat("'", Printable(spec.target), "'"));
  }
}

void ProgramImporter::NoteUses() {
  for (size_t i = 0; i < program_.nodes.size(); ++i) {
    for (const auto& [name, argument] : program_.nodes[i].arguments) {
      for (const std::string& value : argument.names) last_uses_[value] = i;
    }
  }
  for (const OutputSpec& output : program_.outputs) {
    for (const std::string& value : output.value.names) last_uses_[value] = program_.nodes.size();
  }
}

void ProgramImporter::Poison(const ProgramNode& node) {
  for (const std::string& result : node.results) values_.Poison(result);
}

void ProgramImporter::PlaceValue(const std::string& name, const Place& place) {
  places_[name] = place;
  sharers_[place.memory].push_back(name);
}

void ProgramImporter::PlaceResults(const ProgramNode& node, const Target& target) {
  const std::string first = FirstTensor(node, *target.op);
  const bool shares = (target.op->view || target.in_place) && !first.empty();
  for (const std::string& result : node.results) {
    Place place = NewPlace();
    if (shares) {
      const Place& source = places_[first];
      place.memory = source.memory;
      if (target.in_place) place.whole = source.whole;
    }
    PlaceValue(result, place);
  }
}

Status ProgramImporter::Overwrite(const ProgramNode& node, const Target& target, size_t index) {
  const std::string written = FirstTensor(node, *target.op);
  if (written.empty() || node.results.size() != 1) {
    return InvalidInput("works in place on nothing");
  }
  const Place place = places_[written];
  std::vector<std::string>& sharers = sharers_[place.memory];
  for (const std::string& name : sharers) {
    if (const auto it = frozen_.find(name); it != frozen_.end()) {
      return Unsupported("changes '", Printable(it->second),
                         "', which is not supported; call eval() before the export");
    }
  }
  // What is not read any more need not be right.
  std::erase_if(sharers, [&](const std::string& name) {
    const auto use = last_uses_.find(name);
    return name != written && (use == last_uses_.end() || use->second <= index);
  });
  constexpr size_t kMaxSharers = 1000;
  if (sharers.size() > kMaxSharers) return Unsupported("works in place on too many values at once");
  KILN_ASSIGN_OR_RETURN(Op* const op, values_.Get(node.results[0]));
  KILN_ASSIGN_OR_RETURN(const TensorType before, values_.TypeOf(written));
  if (before.shape != op->shape()) {
    return InvalidInput("works in place on ", before.ToString(), ", but gives ",
                        op->type().ToString());
  }
  KILN_ASSIGN_OR_RETURN(Op* const value, values_.builder().Cast(op, before.element));
  for (const std::string& name : sharers) {
    if (places_[name].whole != place.whole) {
      return Unsupported("works in place on memory that '", Printable(name),
                         "' shares, which is not supported; call run_decompositions() before the "
                         "program is saved");
    }
    values_.Set(name, value);
  }
  return OkStatus();
}

Status ProgramImporter::ImportNode(const ProgramNode& node, size_t index) {
  const Target target = FindTarget(node.target);
  for (const auto& [name, argument] : node.arguments) {
    bool poisoned = false;
    for (const std::string& value : argument.names) poisoned |= values_.IsPoisoned(value);
    for (const Number& number : argument.numbers) poisoned |= values_.IsPoisoned(number.symbol);
    if (!poisoned) continue;
    Poison(node);
    return OkStatus();
  }
  KILN_RETURN_IF_ERROR(values_.CheckSize());
  values_.BeginNode(node.label, node.name);
  Node view(this, node, *target.op);
  KILN_RETURN_IF_ERROR(target.op->handler(view));
  PlaceResults(node, target);
  if (target.in_place) KILN_RETURN_IF_ERROR(Overwrite(node, target, index));
  return view.CheckResults();
}

Status ProgramImporter::MakeOutputs() {
  Graph* const graph = values_.builder().graph();
  std::set<std::string> names;
  for (const OutputSpec& output : program_.outputs) {
    if (output.value.kind == Argument::Kind::kNone) continue;
    if (output.value.kind != Argument::Kind::kTensors || output.value.names.size() != 1) {
      return Unsupported("an output that is no tensor is not supported");
    }
    const std::string& name = output.value.names[0];
    if (values_.IsPoisoned(name)) continue;
    KILN_ASSIGN_OR_RETURN(Op* const op, values_.Get(name));
    // A tensor that is returned twice is two outputs.
    std::string unique = name;
    for (int i = 1; !names.insert(unique).second; ++i) unique = StrCat(name, "_", i);
    graph->AddOutput(unique, op);
  }
  if (graph->outputs().empty() && problems_.empty()) {
    return InvalidInput("the program has no outputs");
  }
  return OkStatus();
}

Status ProgramImporter::Import() {
  NoteUses();
  for (const InputSpec& spec : program_.inputs) {
    const Status status = MakeInput(spec);
    if (status.ok()) continue;
    problems_.Add("", status);
    values_.Poison(spec.name);
  }
  for (size_t i = 0; i < program_.nodes.size(); ++i) {
    const Status status = ImportNode(program_.nodes[i], i);
    if (status.ok()) continue;
    problems_.Add(Printable(program_.nodes[i].label), status);
    Poison(program_.nodes[i]);
  }
  if (const Status status = MakeOutputs(); !status.ok()) problems_.Add("", status);
  for (const auto& [name, shape] : values_.options().input_shapes) {
    if (!inputs_.contains(name)) {
      problems_.Add("", InvalidInput("the model has no input '", name, "'"));
    }
  }
  return problems_.ToStatus();
}

}  // namespace kiln::pytorch_import
