#include "compiler/import/import.h"

#include <algorithm>
#include <filesystem>
#include <span>
#include <string_view>

#include "compiler/import/caffe/caffe_import.h"
#include "compiler/import/caffe2/caffe2_import.h"
#include "compiler/import/kiln/native.h"
#include "compiler/import/mxnet/mxnet_import.h"
#include "compiler/import/onnx/onnx_import.h"
#include "compiler/import/pytorch/pytorch_import.h"
#include "compiler/import/tensorflow/tensorflow_import.h"
#include "ir/graph/kir_file.h"
#include "ir/support/file.h"

namespace kiln {

namespace {

struct Format {
  std::string name;
  /// Whether a file that holds these bytes is of this format.
  bool (*detect)(std::span<const char> bytes);
  StatusOr<std::unique_ptr<Module>> (*import)(const std::vector<std::string>& paths,
                                              const ImportOptions& options);
  size_t max_files;  ///< that one model of the format has
  /// Its operators; null for Kiln's own formats.
  std::vector<ImportableOp> (*operators)();
};

bool DetectKiln(std::span<const char> bytes) { return DetectNative(bytes); }

// The text form begins with the word `module`, after blanks and comments.
bool DetectKir(std::span<const char> bytes) {
  std::string_view text(bytes.data(), bytes.size());
  while (!text.empty()) {
    if (text.starts_with("//")) {
      text.remove_prefix(std::min(text.find('\n'), text.size()));
    } else if (text[0] == ' ' || text[0] == '\t' || text[0] == '\r' || text[0] == '\n') {
      text.remove_prefix(1);
    } else {
      break;
    }
  }
  return text.starts_with("module");
}

StatusOr<std::unique_ptr<Module>> ImportKir(const std::vector<std::string>& paths,
                                            const ImportOptions&) {
  return LoadKir(paths[0]);
}

StatusOr<std::unique_ptr<Module>> ImportKiln(const std::vector<std::string>& paths,
                                             const ImportOptions&) {
  return LoadNative(paths[0]);
}

StatusOr<std::unique_ptr<Module>> ImportOnnxFiles(const std::vector<std::string>& paths,
                                                  const ImportOptions& options) {
  return ImportOnnxFile(paths[0], options);
}

const std::vector<Format>& Formats() {
  static const auto* const formats = new std::vector<Format>{
      {"kir", DetectKir, ImportKir, 1, nullptr},
      {"kiln", DetectKiln, ImportKiln, 1, nullptr},
      {"caffe", DetectCaffe, ImportCaffeFiles, 2, CaffeOperators},
      {"caffe2", DetectCaffe2, ImportCaffe2Files, 2, Caffe2Operators},
      {"mxnet", DetectMxnet, ImportMxnetFiles, 2, MxnetOperators},
      {"pytorch", DetectPytorch, ImportPytorchFiles, 1, PytorchOperators},
      {"tensorflow", DetectTensorflow, ImportTensorflowFiles, 1, TensorflowOperators},
      {"onnx", DetectOnnx, ImportOnnxFiles, 1, OnnxOperators},
  };
  return *formats;
}

Status UnknownFormat(const std::string& name) {
  return InvalidInput("there is no model format '", name, "', only ",
                      StrJoin(ImportFormats(), ", "));
}

StatusOr<const Format*> FindFormat(const std::string& path, const std::string& name) {
  KILN_ASSIGN_OR_RETURN(const auto file, MappedFile::Open(path));
  if (file->bytes().empty()) return InvalidInput(path, ": the file is empty");
  for (const Format& format : Formats()) {
    if (name.empty() ? format.detect(file->bytes()) : format.name == name) return &format;
  }
  if (!name.empty()) return UnknownFormat(name);
  return InvalidInput(path, ": the file is in no known model format (",
                      StrJoin(ImportFormats(), ", "), ")");
}

}  // namespace

std::vector<std::string> ImportFormats() {
  std::vector<std::string> names;
  for (const Format& format : Formats()) names.push_back(format.name);
  return names;
}

StatusOr<std::vector<ImportableOp>> ImportableOps(const std::string& format) {
  for (const Format& candidate : Formats()) {
    if (candidate.name != format) continue;
    return candidate.operators == nullptr ? std::vector<ImportableOp>() : candidate.operators();
  }
  return UnknownFormat(format);
}

StatusOr<std::unique_ptr<Module>> ImportModel(const std::vector<std::string>& paths,
                                              const ImportOptions& options) {
  if (paths.empty()) return InvalidInput("no model file is given");
  // A SavedModel is a folder.
  const std::string saved_model = paths[0] + "/saved_model.pb";
  std::error_code error;
  if (paths.size() == 1 && std::filesystem::exists(saved_model, error)) {
    return ImportModel({saved_model}, options);
  }
  KILN_ASSIGN_OR_RETURN(const Format* const format, FindFormat(paths[0], options.format));
  if (paths.size() > format->max_files) {
    return InvalidInput(paths[format->max_files], ": a model of format ", format->name, " is ",
                        format->max_files == 1 ? "one file" : "two files");
  }
  return format->import(paths, options);
}

}  // namespace kiln
