#include "tools/model.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>

#include "compiler/codegen/target_info.h"
#include "compiler/export/onnx/onnx_export.h"
#include "compiler/import/import.h"
#include "compiler/import/kiln/native.h"
#include "compiler/jit/object_cache.h"
#include "ir/graph/kir_file.h"
#include "ir/graph/printer.h"
#include "passes/pipeline.h"
#include "runtime/file.h"
#include "tools/numbers.h"
#include "tools/tensors.h"

namespace kiln {

namespace {

std::vector<std::string> Paths(const ModelOptions& options) { return StrSplit(options.model, ','); }

/// Whether the file starts with `magic`; not when it cannot be read.
bool StartsWith(const std::string& path, std::string_view magic) {
  const auto file = InputFile::Open(path);
  if (!file.ok() || file->size() < magic.size()) return false;
  const auto head = file->Read(0, magic.size());
  return head.ok() && std::string_view(head->data(), head->size()) == magic;
}

/// For CLI11: the names of files, joined by commas.
std::string CheckFileNames(const std::string& text) {
  const std::vector<std::string> names = StrSplit(text, ',');
  return std::ranges::count(names, "") == 0 ? "" : "expected a file's name, found " + Quote(text);
}

/// "NAME=1x3x224x224".
Status ParseShapeOption(const std::string& text, std::string& name, Shape& shape) {
  const size_t equals = text.rfind('=');
  if (equals == 0 || equals == text.npos) return InvalidInput("expected NAME=1x3x224x224");
  name = text.substr(0, equals);
  shape.clear();
  for (const std::string& extent : StrSplit(text.substr(equals + 1), 'x')) {
    int64_t value;
    if (!ParseInt(extent, &value) || value < 0) {
      return InvalidInput("expected extents like 1x3x224x224, found '", text.substr(equals + 1),
                          "'");
    }
    shape.push_back(value);
  }
  return OkStatus();
}

/// For CLI11: the message, empty when all is well.
std::string CheckShapeOption(const std::string& text) {
  std::string name;
  Shape shape;
  return Message(ParseShapeOption(text, name, shape));
}

/// Element "NAME[I]" of an input that is a sequence: it has at least I + 1 elements.
void NoteElement(const std::string& name, std::map<std::string, int64_t>& lengths) {
  const size_t bracket = name.rfind('[');
  int64_t index;
  if (bracket == name.npos || name.back() != ']' ||
      !ParseInt(name.substr(bracket + 1, name.size() - bracket - 2), &index) || index < 0 ||
      index == std::numeric_limits<int64_t>::max()) {
    return;
  }
  int64_t& length = lengths[name.substr(0, bracket)];
  length = std::max(length, index + 1);
}

StatusOr<std::unique_ptr<Module>> Import(const ModelOptions& options) {
  ImportOptions import;
  import.format = options.format;
  import.batch = options.batch;
  import.param_seed = options.param_seed;
  import.training = options.training;
  import.item_shape = options.item_shape;
  for (const std::string& text : options.shapes) {
    std::string name;
    Shape shape;
    KILN_RETURN_IF_ERROR(ParseShapeOption(text, name, shape));
    import.input_shapes[name] = shape;
    NoteElement(name, import.sequence_lengths);
  }
  return ImportModel(Paths(options), import);
}

/// Each --shape names an input and is what that input now has: a text model leaves nothing open.
Status CheckShapes(const Module& module, const ModelOptions& options) {
  for (const std::string& text : options.shapes) {
    std::string name;
    Shape shape;
    KILN_RETURN_IF_ERROR(ParseShapeOption(text, name, shape));
    std::vector<std::string> known;
    bool found = false;
    for (const auto& function : module.functions()) {
      for (const Op* input : function->inputs()) {
        known.push_back(PublicName(*input));
        if (PublicName(*input) != name) continue;
        found = true;
        if (input->shape() != shape) {
          return InvalidInput("--shape ", name, ": expected ", FormatInts(input->shape()),
                              ", which the model fixes, found ", FormatInts(shape));
        }
      }
    }
    if (!found) {
      return InvalidInput("--shape ", name, ": there is no such input; there are ",
                          StrJoin(known, ", "));
    }
  }
  return OkStatus();
}

/// Gives parameters whose values the model lacks He-normal ones: N(0, 2 / fan_in).
Status FillParameters(Module& module, uint64_t seed) {
  std::vector<Parameter> filled;
  for (const auto& [name, parameter] : module.parameters()) {
    if (parameter.value.known()) continue;
    const TensorType& type = parameter.value.type();
    const int64_t outputs = type.shape.size() > 1 ? type.shape[0] : 1;
    const double fan_in =
        static_cast<double>(std::max<int64_t>(1, type.count() / std::max<int64_t>(1, outputs)));
    SplitMix64 random(SeedFor(seed, name));
    std::vector<double> values(static_cast<size_t>(type.count()));
    for (double& value : values) value = Normal(random) * std::sqrt(2 / fan_in);
    Tensor tensor = Tensor::FromDoubles(type.element, type.shape, values);
    if (!type.layout.IsRowMajor()) tensor = Array::FromTensor(tensor).ToTensor(type.layout);
    filled.push_back({name, std::move(tensor), parameter.trainable});
  }
  for (Parameter& parameter : filled) module.SetParameter(std::move(parameter));
  return OkStatus();
}

/// For CLI11: RULE or RULE:NODE, where RULE names a pass or one of a pass's rules.
std::string CheckRewrite(const std::string& text) {
  const std::string name = text.substr(0, text.find(':'));
  for (const Pass& pass : AllPasses()) {
    if (pass.name == name || std::ranges::count(pass.rules, name) > 0) return "";
  }
  return "there is no pass or rewrite rule '" + name + "' (kiln opt --list-passes lists them)";
}

}  // namespace

void AddModelArgument(CLI::App& app, const std::string& name, ModelOptions& options,
                      const std::string& doc, const std::string& suffix) {
  app.add_option(name, options.model, doc)->required()->check(CheckFileNames);
  const std::string whose = suffix.empty() ? "The model's" : name + "'s";
  app.add_option("--format" + suffix, options.format, whose + " format [told from its content]")
      ->check(CLI::IsMember(ImportFormats()));
  app.add_option("--shape" + suffix, options.shapes,
                 whose + " shape of an input, where the file leaves it open")
      ->check(CheckShapeOption)
      ->type_name("NAME=1x3x224x224");
}

void AddFillOptions(CLI::App& app, ModelOptions& options) {
  app.add_option("--batch", options.batch,
                 "The leading dimension of the inputs, where the model leaves it open")
      ->check(WholeNumber(1))
      ->type_name("N");
  app.add_option("--param-seed", options.param_seed,
                 "Fill weights that the model's files lack, from their fillers where the model has "
                 "such and He-normal otherwise, with this seed")
      ->type_name("SEED");
}

void AddModelOptions(CLI::App& app, ModelOptions& options) {
  AddModelArgument(app, "MODEL", options, "The model's file, or its files joined by commas");
  AddFillOptions(app, options);
}

bool IsLibrary(const ModelOptions& options) {
  return options.format.empty() && StartsWith(ModelFile(options),
                                              "\x7f"
                                              "ELF");
}

std::string ModelFile(const ModelOptions& options) { return Paths(options)[0]; }

bool IsModelFile(const ModelOptions& options, const std::string& path) {
  std::error_code error;
  return std::ranges::any_of(Paths(options), [&](const std::string& file) {
    return std::filesystem::equivalent(file, path, error);
  });
}

StatusOr<std::unique_ptr<Module>> LoadModel(const ModelOptions& options, const Globals& globals) {
  const std::string path = ModelFile(options);
  if (IsLibrary(options)) return InvalidInput(path, ": is a library, not a model");
  Note(globals, StrCat("reading ", options.model));
  KILN_ASSIGN_OR_RETURN(auto module, InFile(path, Import(options)));
  KILN_RETURN_IF_ERROR(InFile(path, CheckShapes(*module, options)));
  if (options.param_seed) {
    KILN_RETURN_IF_ERROR(InFile(path, FillParameters(*module, *options.param_seed)));
  }
  return module;
}

void AddPassFlags(CLI::App& app, CompileFlags& flags) {
  app.add_option("--disable-rewrite", flags.disabled_rewrites,
                 "Switch off a pass or rewrite rule, everywhere or at one of the model's nodes")
      ->check(CheckRewrite)
      ->type_name("RULE[:NODE]");
  app.add_option("--rewrite-limit", flags.rewrite_limit, "Stop after the first N rewrites")
      ->check(WholeNumber(0))
      ->type_name("N");
  app.add_flag("--verify-passes", flags.verify_passes,
               "Interpret the model before and after every pass and compare the numbers");
}

void AddCompileFlags(CLI::App& app, CompileFlags& flags) {
  AddPassFlags(app, flags);
  app.add_flag("--no-optimize", flags.no_optimize, "Run only the passes that lowering needs");
  app.add_flag("--no-schedule", flags.no_schedule, "Compile plain serial loops");
  static const std::map<std::string, Winograd> kWinograd = {{"off", Winograd::kOff},
                                                            {"2", Winograd::kTile2},
                                                            {"4", Winograd::kTile4},
                                                            {"auto", Winograd::kAuto}};
  app.add_option("--winograd", flags.winograd,
                 "3x3 convolutions in Winograd's form: none, all in tiles of 2x2 or 4x4, or those "
                 "that become faster [auto]")
      ->transform(CLI::Transformer(kWinograd).description(""))
      ->transform(CLI::IsMember(kWinograd).description(""))  // runs first
      ->type_name("off|2|4|auto");
  app.add_flag("--tune", flags.tune,
               "Measure a few register tiles for each kernel on this machine and use the fastest; "
               "winners are kept in the cache");
  app.add_option("--schedules", flags.schedules, "Use the register tiles that this file names")
      ->type_name("FILE");
  app.add_option("--export-schedules", flags.export_schedules,
                 "Write the register tiles that were measured or read to this file")
      ->type_name("FILE");
  app.add_flag("--no-cache", flags.no_cache,
               "Neither read nor write the cache of compiled kernels ($XDG_CACHE_HOME/kiln)");
}

void AddMemoryFlag(CLI::App& app, CompileFlags& flags) {
  app.add_option(
         "--max-memory", flags.max_memory,
         "Refuse a model that needs more than this to run, parameters, intermediates, inputs "
         "and outputs together; a training step first keeps fewer values until they are needed "
         "again, and computes them twice. 500M or 2G will do")
      ->transform(CLI::AsSizeValue(/*kb_is_1000=*/false))
      ->check(WholeNumber(1))
      ->type_name("BYTES");
}

void AddTargetFlags(CLI::App& app, CompileFlags& flags) {
  app.add_option("--target", flags.triple,
                 "The LLVM triple to compile for, e.g. aarch64-linux-gnu [this machine's]")
      ->type_name("TRIPLE");
  app.add_option(
         "--cpu", flags.cpu,
         "The CPU, by LLVM's name, e.g. x86-64-v3 [this machine's, or the target's generic]")
      ->type_name("NAME");
}

std::string CheckPassName(const std::string& text) {
  if (text == "all") return "";
  for (const Pass& pass : AllPasses()) {
    if (pass.name == text) return "";
  }
  return "there is no pass '" + text + "' (kiln opt --list-passes lists them)";
}

StatusOr<CompileOptions> ToCompileOptions(const CompileFlags& flags, const Globals& globals) {
  CompileOptions options;
  const bool host = flags.triple.empty() && flags.cpu.empty();
  KILN_ASSIGN_OR_RETURN(options.target, host ? HostTarget() : MakeTarget(flags.triple, flags.cpu));
  options.optimize = !flags.no_optimize;
  options.schedule = !flags.no_schedule;
  options.winograd = flags.winograd;
  options.threads = globals.Threads();
  options.max_memory = flags.max_memory;
  options.passes.rewrites.disabled = flags.disabled_rewrites;
  options.passes.rewrites.limit = flags.rewrite_limit;
  options.passes.verify_numbers = flags.verify_passes;
  options.passes.print = PrintOut;
  if (!flags.no_cache) options.cache_directory = ObjectCache::DefaultDirectory();
  options.tuning = {.measure = flags.tune,
                    .read_file = flags.schedules,
                    .export_file = flags.export_schedules,
                    .cache_folder = options.cache_directory};
  return options;
}

Status SaveModule(const Module& module, const std::string& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  const bool device = std::filesystem::exists(status) && !std::filesystem::is_regular_file(status);
  if (device) return WriteText(path, Print(module));
  if (path.ends_with(".onnx")) return SaveOnnx(module, path);
  if (path.ends_with(".kiln.txt")) {
    return SaveNative(module, path, {.form = NativeForm::kText, .side_file = true});
  }
  return path.ends_with(".kiln") ? SaveNative(module, path, {}) : SaveKir(module, path);
}

StatusOr<const Graph*> FindFunction(const Module& module, const std::string& name) {
  if (const Graph* const graph = module.FindFunction(name)) return graph;
  std::vector<std::string> names;
  for (const auto& graph : module.functions()) names.push_back(graph->name());
  return InvalidInput("there is no function '", name, "'; there are ",
                      names.empty() ? "none" : StrJoin(names, ", "));
}

Status SelectFunctions(Module& module, const std::vector<std::string>& names) {
  if (names.empty()) return OkStatus();
  for (const std::string& name : names) KILN_RETURN_IF_ERROR(FindFunction(module, name).status());
  std::vector<std::string> unwanted;
  for (const auto& graph : module.functions()) {
    if (std::ranges::count(names, graph->name()) == 0) unwanted.push_back(graph->name());
  }
  for (const std::string& name : unwanted) module.EraseFunction(name);
  return OkStatus();
}

const std::string& PublicName(const Op& input) {
  return input.sources().empty() ? input.name() : input.sources()[0];
}

}  // namespace kiln
