#include "compiler/import/import.h"

#include <algorithm>
#include <span>

#include "compiler/import/mapped_file.h"
#include "compiler/import/onnx/onnx_import.h"

namespace kiln {

namespace {

struct Format {
  std::string name;
  /// Whether a file that holds these bytes is of this format.
  bool (*detect)(std::span<const char> bytes);
  StatusOr<std::unique_ptr<Module>> (*import)(const std::vector<std::string>& paths,
                                              const ImportOptions& options);
};

StatusOr<std::unique_ptr<Module>> ImportOnnxPaths(const std::vector<std::string>& paths,
                                                  const ImportOptions& options) {
  if (paths.size() != 1) return InvalidInput("an ONNX model is one file");
  return ImportOnnxFile(paths[0], options);
}

const std::vector<Format>& Formats() {
  static const auto* const formats = new std::vector<Format>{
      {"onnx", DetectOnnx, ImportOnnxPaths},
  };
  return *formats;
}

StatusOr<const Format*> FindFormat(const std::string& path, const std::string& name) {
  KILN_ASSIGN_OR_RETURN(const auto file, MapFile(path));
  if (file->bytes().empty()) return InvalidInput("the file is empty");
  for (const Format& format : Formats()) {
    if (name.empty() ? format.detect(file->bytes()) : format.name == name) return &format;
  }
  return InvalidInput(name.empty() ? "the file is in no known model format"
                                   : "there is no model format '" + name + "'",
                      "; known are ", StrJoin(ImportFormats(), ", "));
}

}  // namespace

std::vector<std::string> ImportFormats() {
  std::vector<std::string> names;
  for (const Format& format : Formats()) names.push_back(format.name);
  return names;
}

StatusOr<std::unique_ptr<Module>> ImportModel(const std::vector<std::string>& paths,
                                              const ImportOptions& options) {
  if (paths.empty()) return InvalidInput("no model file is given");
  KILN_ASSIGN_OR_RETURN(const Format* const format, FindFormat(paths[0], options.format));
  return format->import(paths, options);
}

}  // namespace kiln
