#include "compiler/check/check.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>
#include <system_error>

#include "compiler/import/external_file.h"
#include "compiler/import/onnx/onnx_import.h"
#include "compiler/import/onnx/tensor.h"
#include "compiler/import/protobuf.h"
#include "ir/eval/array.h"
#include "ir/eval/interpreter.h"

namespace kiln {

namespace {

namespace fs = std::filesystem;

constexpr int kMaxFolderDepth = 16;

// The folders and files in `folder` by name; unreadable ones count as empty.
std::vector<fs::path> Entries(const fs::path& folder) {
  std::vector<fs::path> entries;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    entries.push_back(it->path());
  }
  std::sort(entries.begin(), entries.end());
  return entries;
}

bool IsFolder(const fs::path& path) {
  std::error_code error;
  return fs::symlink_status(path, error).type() == fs::file_type::directory;
}

bool IsFile(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

bool StartsWith(const std::string& text, const std::string& prefix) {
  return text.compare(0, prefix.size(), prefix) == 0;
}

void CollectCases(const fs::path& folder, int depth, std::vector<CheckCase>& cases) {
  const std::vector<fs::path> entries = Entries(folder);
  if (IsFile(folder / "model.onnx")) {
    CheckCase found{folder.filename().string(), (folder / "model.onnx").string(), {}};
    for (const fs::path& entry : entries) {
      if (StartsWith(entry.filename().string(), "test_data_set_") && IsFolder(entry)) {
        found.data_sets.push_back(entry.string());
      }
    }
    cases.push_back(std::move(found));
    return;
  }
  if (depth == kMaxFolderDepth) return;
  for (const fs::path& entry : entries) {
    if (IsFolder(entry)) CollectCases(entry, depth + 1, cases);
  }
}

/// What a data set holds for an input or output: one tensor, or the elements of a sequence; none
/// for an optional that is absent.
struct DataValue {
  bool sequence = false;
  std::vector<Tensor> tensors;
};

StatusOr<DataValue> ToDataValue(onnx::TensorProto proto, onnx_import::ExternalData& external) {
  KILN_ASSIGN_OR_RETURN(Tensor tensor, onnx_import::ToTensor(&proto, &external));
  return DataValue{false, {std::move(tensor)}};
}

StatusOr<DataValue> ToDataValue(onnx::SequenceProto proto, onnx_import::ExternalData& external) {
  if (proto.sequence_values_size() > 0 || proto.sparse_tensor_values_size() > 0) {
    return Unsupported("only sequences of tensors are supported");
  }
  DataValue value{true, {}};
  for (onnx::TensorProto& element : *proto.mutable_tensor_values()) {
    KILN_ASSIGN_OR_RETURN(value.tensors.emplace_back(), onnx_import::ToTensor(&element, &external));
  }
  return value;
}

StatusOr<DataValue> ToDataValue(onnx::OptionalProto proto, onnx_import::ExternalData& external) {
  if (proto.has_tensor_value()) return ToDataValue(proto.tensor_value(), external);
  if (proto.has_sequence_value()) return ToDataValue(proto.sequence_value(), external);
  return DataValue();
}

template <typename Proto>
StatusOr<DataValue> ReadValue(std::span<const char> bytes, onnx_import::ExternalData& external) {
  Proto proto;
  KILN_RETURN_IF_ERROR(ParseProtobuf(bytes, &proto));
  return ToDataValue(std::move(proto), external);
}

// The values in PREFIX_0.pb, PREFIX_1.pb, ..., which are of the kinds that the model declares.
StatusOr<std::vector<DataValue>> LoadValues(const std::string& folder, const std::string& prefix,
                                            const std::vector<onnx::ValueInfoProto>& declared) {
  std::vector<DataValue> values;
  onnx_import::ExternalData external(folder);
  for (size_t i = 0;; ++i) {
    const std::string name = StrCat(prefix, "_", i, ".pb");
    const std::string path = folder + "/" + name;
    if (!IsFile(path)) return values;
    KILN_ASSIGN_OR_RETURN(const auto file, MappedFile::Open(path));
    const auto type = i < declared.size() ? declared[i].type() : onnx::TypeProto();
    auto value = type.has_sequence_type() ? ReadValue<onnx::SequenceProto>(file->bytes(), external)
                 : type.has_optional_type()
                     ? ReadValue<onnx::OptionalProto>(file->bytes(), external)
                     : ReadValue<onnx::TensorProto>(file->bytes(), external);
    if (!value.ok()) return Annotate(value.status(), name);
    values.push_back(*std::move(value));
  }
}

StatusOr<onnx::ModelProto> LoadModel(const std::string& path) {
  KILN_ASSIGN_OR_RETURN(const auto file, MappedFile::Open(path));
  onnx::ModelProto model;
  KILN_RETURN_IF_ERROR(ParseProtobuf(file->bytes(), &model));
  return model;
}

// The graph's inputs, without those that initializers give.
std::vector<onnx::ValueInfoProto> RealInputs(const onnx::GraphProto& graph) {
  std::set<std::string> given;
  for (const auto& initializer : graph.initializer()) given.insert(initializer.name());
  std::vector<onnx::ValueInfoProto> inputs;
  for (const auto& input : graph.input()) {
    if (!given.contains(input.name())) inputs.push_back(input);
  }
  return inputs;
}

// ONNX 1.12 writes bf16 tensors of its own test data as the u16 of their bits.
Tensor AsDeclared(const Tensor& tensor, int data_type) {
  const bool bits =
      data_type == onnx::TensorProto::BFLOAT16 && tensor.type().element == ElementType::kU16;
  if (!bits) return tensor;
  TensorType type = tensor.type();
  type.element = ElementType::kBF16;
  return Tensor(type, std::vector<char>(tensor.bytes().begin(), tensor.bytes().end()));
}

void MatchDeclared(const std::vector<onnx::ValueInfoProto>& declared,
                   std::vector<DataValue>& values) {
  for (size_t i = 0; i < std::min(declared.size(), values.size()); ++i) {
    for (Tensor& tensor : values[i].tensors) {
      tensor = AsDeclared(tensor, declared[i].type().tensor_type().elem_type());
    }
  }
}

/// Tensors as the imported module takes and gives them, by name.
struct NamedTensors {
  std::vector<std::string> names;
  std::vector<Tensor> tensors;
};

NamedTensors Flatten(const std::vector<onnx::ValueInfoProto>& declared,
                     const std::vector<DataValue>& values) {
  NamedTensors flat;
  for (size_t i = 0; i < values.size(); ++i) {
    const std::string name = i < declared.size() ? declared[i].name() : "";
    for (size_t e = 0; e < values[i].tensors.size(); ++e) {
      flat.names.push_back(values[i].sequence ? StrCat(name, "[", e, "]") : name);
      flat.tensors.push_back(values[i].tensors[e]);
    }
  }
  return flat;
}

// Some of ONNX's data sets contradict their model; that is nothing to run.
Status CheckFits(const onnx::ValueInfoProto& input, const Tensor& tensor) {
  const auto& shape = input.type().tensor_type().shape();
  bool fits = !input.type().tensor_type().has_shape() || shape.dim_size() == tensor.type().rank();
  for (int d = 0; fits && d < shape.dim_size(); ++d) {
    fits = !shape.dim(d).has_dim_value() || shape.dim(d).dim_value() == tensor.shape()[d];
  }
  if (fits) return OkStatus();
  return Unsupported("the data set contradicts the model: input '", input.name(), "' is ",
                     tensor.type().ToString());
}

// The types that the inputs must have, and the values that they may be specialised on.
StatusOr<ImportOptions> OptionsFor(const std::vector<onnx::ValueInfoProto>& declared,
                                   const std::vector<DataValue>& inputs) {
  ImportOptions options;
  for (size_t i = 0; i < std::min(declared.size(), inputs.size()); ++i) {
    if (inputs[i].sequence || inputs[i].tensors.empty()) {
      options.sequence_lengths[declared[i].name()] = static_cast<int64_t>(inputs[i].tensors.size());
    } else {
      KILN_RETURN_IF_ERROR(CheckFits(declared[i], inputs[i].tensors[0]));
    }
  }
  const NamedTensors flat = Flatten(declared, inputs);
  for (size_t i = 0; i < flat.names.size(); ++i) {
    options.input_shapes[flat.names[i]] = flat.tensors[i].shape();
    options.known_inputs[flat.names[i]] = flat.tensors[i];
  }
  return options;
}

// The data set has a value for every output but perhaps the last ones.
Status CheckOutputs(const Graph& graph, const std::vector<DataValue>& expected,
                    const NamedTensors& flat) {
  bool fits = !expected.empty() && flat.names.size() <= graph.outputs().size();
  for (size_t i = 0; fits && i < flat.names.size(); ++i) {
    fits = graph.outputs()[i].name == flat.names[i];
  }
  if (fits) return OkStatus();
  return InvalidInput("the model has ", graph.outputs().size(), " outputs, the data set ",
                      flat.names.size());
}

Status RunDataSet(const CheckCase& check_case, const std::string& data_set,
                  const Executor& executor, const Tolerance& tolerance) {
  const std::string folder = FolderOf(check_case.model);
  KILN_ASSIGN_OR_RETURN(onnx::ModelProto model, LoadModel(check_case.model));
  const std::vector<onnx::ValueInfoProto> parameters = RealInputs(model.graph());
  auto inputs = LoadValues(data_set, "input", parameters);
  if (!inputs.ok()) {
    // Perhaps they are of a kind that the import refuses by name.
    KILN_RETURN_IF_ERROR(ImportOnnx(std::move(model), folder, {}).status());
    return inputs.status();
  }
  MatchDeclared(parameters, *inputs);
  const std::vector<onnx::ValueInfoProto> results(model.graph().output().begin(),
                                                  model.graph().output().end());
  KILN_ASSIGN_OR_RETURN(const ImportOptions options, OptionsFor(parameters, *inputs));
  KILN_ASSIGN_OR_RETURN(auto module, ImportOnnx(std::move(model), folder, options));
  KILN_ASSIGN_OR_RETURN(std::vector<DataValue> expected, LoadValues(data_set, "output", results));
  MatchDeclared(results, expected);
  const Graph& graph = *module->FindFunction("forward");
  const std::vector<Tensor> arguments = Flatten(parameters, *inputs).tensors;
  const NamedTensors wanted = Flatten(results, expected);
  if (graph.inputs().size() != arguments.size()) {
    return InvalidInput("the model has ", graph.inputs().size(), " inputs, the data set ",
                        arguments.size());
  }
  KILN_RETURN_IF_ERROR(CheckOutputs(graph, expected, wanted));
  KILN_ASSIGN_OR_RETURN(const std::vector<Tensor> found, executor(std::move(module), arguments));
  for (size_t i = 0; i < wanted.tensors.size(); ++i) {
    const Status status = CompareTensors(found[i], wanted.tensors[i], tolerance);
    if (!status.ok()) return Annotate(status, "output '" + wanted.names[i] + "'");
  }
  return OkStatus();
}

std::string OneLine(std::string text) {
  std::string line;
  for (const std::string& part : StrSplit(text, '\n')) line += (line.empty() ? "" : "; ") + part;
  return line;
}

// Neighbours in a narrow type may be further apart than the tolerance.
Tolerance ForType(Tolerance tolerance, ElementType type) {
  if (type == ElementType::kF16) tolerance.rtol = std::max(tolerance.rtol, 0x1p-10);
  if (type == ElementType::kBF16) tolerance.rtol = std::max(tolerance.rtol, 0x1p-7);
  return tolerance;
}

bool Agree(double found, double expected, const Tolerance& tolerance) {
  if (std::isnan(found) || std::isnan(expected)) return std::isnan(found) && std::isnan(expected);
  if (std::isinf(found) || std::isinf(expected)) return found == expected;
  return std::abs(found - expected) <= tolerance.atol + tolerance.rtol * std::abs(expected);
}

}  // namespace

StatusOr<std::vector<CheckCase>> FindCases(const std::string& path) {
  std::error_code error;
  const fs::path folder = fs::weakly_canonical(path, error);
  if (error || !fs::is_directory(folder, error)) return InvalidInput("is not a folder");
  std::vector<CheckCase> cases;
  CollectCases(folder, 0, cases);
  if (cases.empty()) return InvalidInput("holds no model.onnx");
  return cases;
}

Status CompareTensors(const Tensor& found, const Tensor& expected, const Tolerance& tolerance) {
  if (found.type().element != expected.type().element || found.shape() != expected.shape()) {
    return InvalidInput("is ", found.type().ToString(), ", expected ", expected.type().ToString());
  }
  const Tolerance allowed = ForType(tolerance, expected.type().element);
  const Array a = Array::FromTensor(found);
  const Array b = Array::FromTensor(expected);
  for (int64_t i = 0; i < a.count(); ++i) {
    const bool agree =
        a.is_float() ? Agree(a.GetDouble(i), b.GetDouble(i), allowed) : a.GetInt(i) == b.GetInt(i);
    if (!agree) {
      return InvalidInput("element ", i, " is ", a.GetDouble(i), ", expected ", b.GetDouble(i));
    }
  }
  return OkStatus();
}

StatusOr<std::vector<Tensor>> ExecuteReference(std::unique_ptr<Module> module,
                                               const std::vector<Tensor>& inputs) {
  std::vector<Array> arrays;
  for (const Tensor& input : inputs) arrays.push_back(Array::FromTensor(input));
  KILN_ASSIGN_OR_RETURN(
      const std::vector<Array> results,
      Interpret(*module->FindFunction("forward"), arrays, Rounding::kElementType));
  std::vector<Tensor> outputs;
  for (const Array& result : results) outputs.push_back(result.ToTensor());
  return outputs;
}

CheckResult RunCase(const CheckCase& check_case, const Executor& executor,
                    const Tolerance& tolerance) {
  if (check_case.data_sets.empty()) {
    return {CheckResult::Verdict::kFail, "there is no test_data_set_*"};
  }
  for (const std::string& data_set : check_case.data_sets) {
    const Status status = RunDataSet(check_case, data_set, executor, tolerance);
    if (status.ok()) continue;
    const bool unsupported = status.code() == absl::StatusCode::kUnimplemented;
    return {unsupported ? CheckResult::Verdict::kSkip : CheckResult::Verdict::kFail,
            OneLine(Message(status))};
  }
  return {CheckResult::Verdict::kPass, ""};
}

std::string ResultLine(const std::string& name, const CheckResult& result) {
  switch (result.verdict) {
    case CheckResult::Verdict::kPass: return "PASS " + name;
    case CheckResult::Verdict::kFail: return StrCat("FAIL ", name, ": ", result.reason);
    default: return StrCat("SKIP ", name, ": unsupported (", result.reason, ")");
  }
}

}  // namespace kiln
