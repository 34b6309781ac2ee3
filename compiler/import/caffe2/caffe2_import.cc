#include "compiler/import/caffe2/caffe2_import.h"

#include <algorithm>
#include <set>

#include "compiler/import/caffe2/node.h"
#include "compiler/import/caffe2/op_table.h"
#include "compiler/import/foreign/values.h"
#include "compiler/import/protobuf.h"
#include "ir/support/file.h"
#include "proto/caffe2.pb.h"

namespace kiln {

namespace {

using caffe2::NetDef;
using caffe2::OperatorDef;
using namespace caffe2_import;  // what this importer is made of

constexpr int kMaxOperators = 200'000;

StatusOr<NetDef> ReadNet(std::span<const char> bytes, std::vector<std::string>* unknown) {
  NetDef net;
  if (TopFieldsOfText(bytes).empty()) {
    KILN_RETURN_IF_ERROR(ParseProtobuf(bytes, &net));
  } else {
    KILN_RETURN_IF_ERROR(ParseProtobufText(bytes, &net, unknown));
  }
  if (net.op_size() <= kMaxOperators) return net;
  return Unsupported("the net has more than ", kMaxOperators, " operators");
}

std::string Label(const OperatorDef& op) {
  if (!op.name().empty()) return Printable(op.name());
  return Printable(op.output_size() > 0 ? op.output(0) : op.type());
}

void CheckOperator(const OperatorDef& proto, ProblemList& problems) {
  const std::string label = Label(proto);
  const Caffe2Op* const op = FindCaffe2Op(proto.type());
  if (op == nullptr) {
    return problems.Add(label,
                        Unsupported("operator ", Printable(proto.type()), " is not supported"));
  }
  for (const caffe2::Argument& argument : proto.arg()) {
    if (IsHint(argument.name()) || std::ranges::count(op->arguments, argument.name()) > 0) continue;
    problems.Add(label, Unsupported("argument '", Printable(argument.name()), "' of operator ",
                                    op->name, " is not supported"));
  }
  const Status inputs = CheckCount("inputs", proto.input_size(), op->inputs);
  if (!inputs.ok()) problems.Add(label, inputs);
  const Status outputs = CheckCount("outputs", proto.output_size(), {1, op->max_outputs});
  if (!outputs.ok()) problems.Add(label, outputs);
}

class NetImporter {
 public:
  NetImporter(Graph* graph, const ImportOptions& options) : values_(graph, options) {}

  Status Import(const NetDef& init, const NetDef& predict) {
    Run(init);
    MakeSampledInput(predict);
    MakeInputs(predict);
    Run(predict);
    for (const auto& [name, shape] : values_.options().input_shapes) {
      if (!inputs_.contains(name)) {
        problems_.Add("", InvalidInput("the model has no input '", name, "'"));
      }
    }
    if (const Status status = MakeOutputs(predict); !status.ok()) problems_.Add("", status);
    return problems_.ToStatus();
  }

  const std::set<std::string>& used_inputs() const { return values_.used_inputs(); }

 private:
  // Exporters let the init net fill the data too, with a sample, and name them first: where nothing
  // else is left to be an input, they are it.
  void MakeSampledInput(const NetDef& net) {
    const auto& names = net.external_input();
    const auto filled = [this](const std::string& name) { return values_.Has(name); };
    if (names.empty() || !std::ranges::all_of(names, filled)) return;
    const auto type = values_.TypeOf(names[0]);
    const bool open = net.op_size() > 0 && net.op(0).input_size() > 0 &&
                      net.op(0).input(0) == names[0] && net.op(0).input_size() > 1;
    if (!open || !type.ok()) return;
    MakeInput(names[0], type->shape);
  }

  void MakeInput(const std::string& name, const std::optional<Shape>& sample) {
    inputs_.insert(name);
    const bool given = values_.options().input_shapes.contains(name);
    const auto shape = InputShape(name, given ? std::nullopt : sample, values_.options());
    const Status status =
        shape.ok() ? values_.SetInput(name, {ElementType::kF32, *shape, {}}) : shape.status();
    if (status.ok()) return;
    problems_.Add(Printable(name), status);
    values_.Poison(name);
  }

  // Whatever an operator reads before anybody has made it.
  void MakeInputs(const NetDef& net) {
    std::set<std::string> made;
    for (const OperatorDef& op : net.op()) {
      for (const std::string& name : op.input()) {
        if (values_.Has(name) || made.contains(name)) continue;
        MakeInput(name, std::nullopt);
      }
      made.insert(op.output().begin(), op.output().end());
    }
  }

  void Run(const NetDef& net) {
    for (const OperatorDef& op : net.op()) {
      const Status status = RunOperator(op);
      if (status.ok()) continue;
      problems_.Add(Label(op), status);
      for (const std::string& name : op.output()) values_.Poison(name);
    }
  }

  Status RunOperator(const OperatorDef& proto) {
    bool poisoned = false;
    for (const std::string& name : proto.input()) {
      if (!values_.Has(name)) {
        return InvalidInput("input '", Printable(name), "' is not defined");
      }
      poisoned |= values_.IsPoisoned(name);
    }
    if (poisoned) {
      for (const std::string& name : proto.output()) values_.Poison(name);
      return OkStatus();
    }
    KILN_RETURN_IF_ERROR(values_.CheckSize());
    values_.BeginNode(Label(proto), proto.output(0));
    Node node(&values_, proto, *FindCaffe2Op(proto.type()));
    return node.op().handler(node);
  }

  // Those that the net names; where it names none, what nobody reads.
  std::vector<std::string> OutputNames(const NetDef& net) const {
    std::vector<std::string> names(net.external_output().begin(), net.external_output().end());
    if (!names.empty()) return names;
    std::set<std::string> read;
    for (const OperatorDef& op : net.op()) read.insert(op.input().begin(), op.input().end());
    for (const OperatorDef& op : net.op()) {
      const std::string& name = op.output(0);
      if (!read.contains(name) && std::ranges::count(names, name) == 0) names.push_back(name);
    }
    return names;
  }

  Status MakeOutputs(const NetDef& net) {
    Graph* const graph = values_.builder().graph();
    for (const std::string& name : OutputNames(net)) {
      if (values_.IsPoisoned(name)) continue;
      KILN_ASSIGN_OR_RETURN(Op* const op, values_.Get(name));
      graph->AddOutput(name, op);
    }
    if (graph->outputs().empty() && problems_.empty()) {
      return InvalidInput("the net has no outputs");
    }
    return OkStatus();
  }

  Values values_;
  ProblemList problems_;
  std::set<std::string> inputs_;
};

// A net that only fills: what an init_net is.
bool IsInit(const NetDef& net) {
  return net.op_size() > 0 &&
         std::ranges::all_of(net.op(), [](const OperatorDef& op) { return op.input_size() == 0; });
}

StatusOr<std::unique_ptr<Module>> Import(const NetDef& predict, const NetDef& init,
                                         const std::vector<std::string>& unknown,
                                         const ImportOptions& options) {
  ProblemList problems;
  for (const std::string& field : unknown) problems.Add("", Unsupported(Printable(field)));
  for (const OperatorDef& op : init.op()) CheckOperator(op, problems);
  for (const OperatorDef& op : predict.op()) CheckOperator(op, problems);
  KILN_RETURN_IF_ERROR(problems.ToStatus());
  auto module = std::make_unique<Module>();
  Graph* const graph = module->AddFunction("forward");
  NetImporter importer(graph, options);
  KILN_RETURN_IF_ERROR(importer.Import(init, predict));
  EraseUnused(graph);
  if (!predict.name().empty()) module->name = predict.name();
  module->metadata["format"] = "caffe2";
  if (!importer.used_inputs().empty()) {
    module->metadata["specialised"] = StrJoin(importer.used_inputs(), ",");
  }
  return module;
}

}  // namespace

bool DetectCaffe2(std::span<const char> bytes) {
  const std::set<std::string> names = TopFieldsOfText(bytes);
  if (names.empty()) return LooksLike(NetDef::descriptor(), bytes);
  return names.contains("op") || names.contains("external_input") ||
         names.contains("external_output");
}

std::vector<ImportableOp> Caffe2Operators() {
  std::vector<ImportableOp> operators;
  for (const Caffe2Op* const op : AllCaffe2Ops()) operators.push_back({op->name, "", op->limits});
  return operators;
}

StatusOr<std::unique_ptr<Module>> ImportCaffe2(std::span<const char> predict,
                                               std::span<const char> init,
                                               const ImportOptions& options) {
  std::vector<std::string> unknown;
  KILN_ASSIGN_OR_RETURN(const NetDef predict_net, ReadNet(predict, &unknown));
  NetDef init_net;
  if (!init.empty()) {
    KILN_ASSIGN_OR_RETURN(init_net, ReadNet(init, &unknown));
  }
  return Import(predict_net, init_net, unknown, options);
}

StatusOr<std::unique_ptr<Module>> ImportCaffe2Files(const std::vector<std::string>& paths,
                                                    const ImportOptions& options) {
  std::vector<NetDef> nets;
  std::vector<std::string> unknown;
  for (const std::string& path : paths) {
    KILN_ASSIGN_OR_RETURN(const auto file, MappedFile::Open(path));
    auto net = ReadNet(file->bytes(), &unknown);
    if (!net.ok()) return InEveryLine(path, net.status());
    nets.push_back(*std::move(net));
  }
  nets.resize(2);
  std::string path = paths[0];
  if (paths.size() == 2 && IsInit(nets[0]) && !IsInit(nets[1])) {
    std::swap(nets[0], nets[1]);
    path = paths[1];
  }
  auto module = Import(nets[0], nets[1], unknown, options);
  if (module.ok()) return module;
  return InEveryLine(path, module.status());
}

}  // namespace kiln
