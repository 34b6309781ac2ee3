// `kiln convert`: a model in another format.
#include "compiler/export/caffe/caffemodel.h"
#include "tools/model.h"

namespace kiln {

namespace {

struct ConvertOptions {
  ModelOptions model;
  std::string output;
};

Status Write(const Module& module, const std::string& path) {
  if (!path.ends_with(".caffemodel")) return SaveModule(module, path);
  KILN_ASSIGN_OR_RETURN(const std::string bytes, InFile(path, SerializeCaffeModel(module)));
  return WriteText(path, bytes);
}

Status Convert(const ConvertOptions& options, const Globals& globals) {
  KILN_ASSIGN_OR_RETURN(const auto module, LoadModel(options.model, globals));
  KILN_RETURN_IF_ERROR(Write(*module, options.output));
  Note(globals, StrCat("wrote ", options.output));
  return OkStatus();
}

}  // namespace

void AddConvertCommand(CLI::App& app, const Globals& globals, Action& action) {
  const auto options = std::make_shared<ConvertOptions>();
  CLI::App* const command = app.add_subcommand(
      "convert",
      "Write a model in another format, told by the name of the file: NAME.kiln, Kiln's own,\n"
      "all in one file; NAME.kiln.txt, the same to be read, with large tensors in\n"
      "NAME.kiln.txt.data beside it; NAME.caffemodel, the weights of a net that was read from a\n"
      ".prototxt; NAME.onnx where Kiln can say the model in ONNX; anything else is text (.kir),\n"
      "with large tensors in NAME.data beside it.");
  AddModelOptions(*command, options->model);
  command->add_option("OUTPUT", options->output, "The file to write")->required();
  command->callback([options, &globals, &action] {
    action = [=, &globals] { return Convert(*options, globals); };
  });
}

}  // namespace kiln
