#include "compiler/import/kiln/native.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/text_format.h>

#include <limits>

#include "compiler/import/kiln/convert.h"
#include "ir/support/file.h"
#include "proto/kiln.pb.h"

namespace kiln {

namespace {

constexpr std::string_view kFormat = "kiln.model";
constexpr int kFormatVersion = 1;
// kMaxRegionDepth bodies take two levels each.
constexpr int kMaxMessageDepth = 100;
constexpr size_t kMaxBytes = std::numeric_limits<int32_t>::max();

// Keeps the first error of the text parser instead of logging it.
class ErrorKeeper : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, int column, const std::string& message) override {
    if (error_.empty()) error_ = StrCat(line + 1, ":", column + 1, ": ", message);
  }
  const std::string& error() const { return error_; }

 private:
  std::string error_;
};

Status ParseBinary(std::span<const char> bytes, native::Model* model) {
  google::protobuf::io::CodedInputStream stream(reinterpret_cast<const uint8_t*>(bytes.data()),
                                                static_cast<int>(bytes.size()));
  stream.SetRecursionLimit(kMaxMessageDepth);
  if (!model->ParseFromCodedStream(&stream) || !stream.ConsumedEntireMessage()) {
    return InvalidInput("the file is malformed or cut short");
  }
  return OkStatus();
}

Status ParseText(std::span<const char> bytes, native::Model* model) {
  google::protobuf::io::ArrayInputStream stream(bytes.data(), static_cast<int>(bytes.size()));
  google::protobuf::TextFormat::Parser parser;
  ErrorKeeper errors;
  parser.RecordErrorsTo(&errors);
  parser.SetRecursionLimit(kMaxMessageDepth);
  return parser.Parse(&stream, model) ? OkStatus() : InvalidInput(errors.error());
}

}  // namespace

bool DetectNative(std::span<const char> bytes, NativeForm* form) {
  const std::string_view text(bytes.data(), bytes.size());
  const std::string binary = StrCat("\x0a", static_cast<char>(kFormat.size()), kFormat);
  const bool is_binary = text.starts_with(binary);
  if (form != nullptr) *form = is_binary ? NativeForm::kBinary : NativeForm::kText;
  return is_binary || text.starts_with(StrCat("format: \"", kFormat, "\""));
}

StatusOr<std::unique_ptr<Module>> ParseNative(std::span<const char> bytes, NativeForm form,
                                              const SideFile* side_file) {
  if (bytes.size() > kMaxBytes) return InvalidInput("the file is larger than 2 GiB");
  native::Model model;
  KILN_RETURN_IF_ERROR(form == NativeForm::kBinary ? ParseBinary(bytes, &model)
                                                   : ParseText(bytes, &model));
  if (model.format() != kFormat) return InvalidInput("the file is no native Kiln model");
  if (model.format_version() != kFormatVersion) {
    return Unsupported("the file has format version ", model.format_version(), ", expected ",
                       kFormatVersion);
  }
  return ModuleFromProto(model, side_file);
}

StatusOr<std::string> SerializeNative(const Module& module, const NativeOptions& options) {
  native::Model model;
  model.set_format(std::string(kFormat));
  model.set_format_version(kFormatVersion);
  ModuleToProto(module, /*inline_all=*/!options.side_file, &model);
  if (model.ByteSizeLong() > kMaxBytes) {
    return Unsupported("the model is larger than the 2 GiB of a model file; use a side file");
  }
  std::string bytes;
  const bool written = options.form == NativeForm::kBinary
                           ? model.SerializeToString(&bytes)
                           : google::protobuf::TextFormat::PrintToString(model, &bytes);
  if (!written) return InternalError("protobuf cannot serialize the model");
  return bytes;
}

StatusOr<std::unique_ptr<Module>> LoadNative(const std::string& path) {
  KILN_ASSIGN_OR_RETURN(const auto file, MappedFile::Open(path));
  KILN_ASSIGN_OR_RETURN(const auto side_file, OpenSideFileOf(path));
  NativeForm form;
  if (!DetectNative(file->bytes(), &form)) {
    return InvalidInput(path, ": is no native Kiln model");
  }
  auto module = ParseNative(file->bytes(), form, side_file.get());
  if (!module.ok()) return Annotate(module.status(), path);
  return module;
}

Status SaveNative(const Module& module, const std::string& path, const NativeOptions& options) {
  auto bytes = SerializeNative(module, options);
  KILN_RETURN_IF_ERROR(Annotate(bytes.status(), path));
  if (options.side_file) {
    const std::vector<Tensor> tensors = SideTensors(module);
    if (!tensors.empty()) KILN_RETURN_IF_ERROR(WriteSideFile(SideFilePath(path), tensors));
  }
  return WriteFileAtomically(path, {*bytes});
}

}  // namespace kiln
