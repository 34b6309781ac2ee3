#include "tools/inputs.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <optional>

#include "compiler/import/onnx/tensor.h"
#include "compiler/import/protobuf.h"
#include "runtime/file.h"
#include "runtime/npy.h"
#include "tools/common.h"
#include "tools/numbers.h"

namespace kiln {

namespace {

constexpr uint64_t kMaxTensorFileBytes = uint64_t{1} << 31;  // protobuf's own limit

enum class FileKind { kNpy, kOnnxTensor, kImage };

/// Told from the content where that is plain, else from the name.
StatusOr<FileKind> DetectKind(const std::string& path) {
  KILN_ASSIGN_OR_RETURN(const InputFile file, InputFile::Open(path));
  KILN_ASSIGN_OR_RETURN(const std::vector<char> bytes,
                        file.Read(0, std::min<uint64_t>(file.size(), 6)));
  const std::string_view head(bytes.data(), bytes.size());
  if (head.starts_with("\x93NUMPY")) return FileKind::kNpy;
  if (head.starts_with("\x89PNG") || head.starts_with("\xff\xd8\xff")) return FileKind::kImage;
  std::string name = path;
  for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (name.ends_with(".npy")) return FileKind::kNpy;
  if (name.ends_with(".pb")) return FileKind::kOnnxTensor;
  for (const char* extension : {".png", ".jpg", ".jpeg"}) {
    if (name.ends_with(extension)) return FileKind::kImage;
  }
  return InvalidInput("is none of .npy, .pb (an ONNX tensor), .png and .jpg");
}

StatusOr<HostTensor> ReadOnnxTensor(const std::string& path) {
  KILN_ASSIGN_OR_RETURN(const std::vector<char> bytes, ReadFile(path, kMaxTensorFileBytes));
  onnx::TensorProto proto;
  KILN_RETURN_IF_ERROR(ParseProtobuf(bytes, &proto));
  onnx_import::ExternalData none("");
  KILN_ASSIGN_OR_RETURN(const Tensor tensor, onnx_import::ToTensor(&proto, &none));
  return ToHostTensor(tensor);
}

/// The picture in the rank and with the channels that the input has.
StatusOr<HostTensor> ReadImage(const std::string& path, ImageOptions options,
                               const TensorSignature& input) {
  const size_t rank = input.shape.size();
  options.grey = rank >= 3 && input.shape[rank - 3] == 1;
  KILN_ASSIGN_OR_RETURN(HostTensor image, LoadImage(path, options));
  if (rank == 3) image.shape.erase(image.shape.begin());
  return image;
}

StatusOr<HostTensor> ReadInput(const std::string& path, const ImageOptions& image,
                               const TensorSignature& input) {
  KILN_ASSIGN_OR_RETURN(const FileKind kind, DetectKind(path));
  StatusOr<HostTensor> tensor = kind == FileKind::kImage ? ReadImage(path, image, input)
                                : kind == FileKind::kNpy ? ReadNpy(path)
                                                         : ReadOnnxTensor(path);
  if (!tensor.ok()) return tensor;
  if (tensor->dtype == input.dtype && tensor->shape == input.shape) return tensor;
  return InvalidInput("input '", input.name, "': expected ", TypeText(input.dtype, input.shape),
                      ", found ", TypeText(tensor->dtype, tensor->shape),
                      kind == FileKind::kImage ? "; --resize and --crop set a picture's size" : "");
}

/// "random" or "random:SEED".
std::optional<uint64_t> RandomSeed(const std::string& text) {
  if (text == "random") return 0;
  int64_t seed;
  if (!text.starts_with("random:") || !ParseInt(text.substr(7), &seed)) return std::nullopt;
  return static_cast<uint64_t>(seed);
}

std::string Names(const std::vector<TensorSignature>& signature) {
  std::vector<std::string> names;
  for (const TensorSignature& input : signature) names.push_back("'" + input.name + "'");
  return names.empty() ? "none" : StrJoin(names, ", ");
}

/// The index of the longest input name that stands before a '=' at the start of `text`; -1: none.
int NamedInput(const std::string& text, const std::vector<TensorSignature>& signature) {
  int found = -1;
  for (size_t i = 0; i < signature.size(); ++i) {
    if (!text.starts_with(signature[i].name + "=")) continue;
    if (found < 0 || signature[i].name.size() > signature[static_cast<size_t>(found)].name.size()) {
      found = static_cast<int>(i);
    }
  }
  return found;
}

/// One --input: which input (-1: whichever has no value of its own), and the file or `random`.
struct Assignment {
  int index = -1;
  std::string value;
};

StatusOr<Assignment> ParseInput(const std::string& text,
                                const std::vector<TensorSignature>& signature) {
  const int named = NamedInput(text, signature);
  if (named >= 0) {
    return Assignment{named, text.substr(signature[static_cast<size_t>(named)].name.size() + 1)};
  }
  if (RandomSeed(text)) return Assignment{-1, text};
  const size_t equals = text.find('=');
  if (equals != text.npos) {
    return InvalidInput("--input ", text.substr(0, equals), ": there is no such input; there are ",
                        Names(signature));
  }
  if (signature.size() == 1) return Assignment{0, text};
  return InvalidInput("--input ", text, ": say which input this is, as NAME=", text, "; there are ",
                      Names(signature));
}

/// One number for all channels, or three as R,G,B.
StatusOr<std::array<float, 3>> ParseChannels(const std::string& text) {
  const std::vector<std::string> parts = StrSplit(text, ',');
  std::array<float, 3> channels;
  for (size_t c = 0; c < 3; ++c) {
    double value;
    if ((parts.size() != 1 && parts.size() != 3) ||
        !ParseDouble(parts[parts.size() == 1 ? 0 : c], &value)) {
      return InvalidInput("expected a number or three as R,G,B, found '", text, "'");
    }
    channels[c] = static_cast<float>(value);
  }
  return channels;
}

/// An option of channels, read into `channels` as it is parsed.
void AddChannelsOption(CLI::App& app, const std::string& name, std::array<float, 3>& channels,
                       bool zero_allowed, const std::string& doc) {
  const auto read = [&channels, zero_allowed](const std::string& text) -> std::string {
    const auto parsed = ParseChannels(text);
    if (!parsed.ok()) return Message(parsed.status());
    if (!zero_allowed && std::ranges::count(*parsed, 0.0f) > 0) return "none may be 0";
    channels = *parsed;
    return "";
  };
  app.add_option_function<std::string>(
         name, [](const std::string&) {}, doc)
      ->check(read)
      ->type_name("R,G,B");
}

}  // namespace

void AddInputOptions(CLI::App& app, InputOptions& options) {
  app.add_option("--input", options.inputs,
                 "An input's value: a .npy file, an ONNX tensor (.pb), a picture (.png, .jpg) or "
                 "random[:SEED]. NAME= may be left out where there is one input; random without a "
                 "name fills every input that is not named")
      ->type_name("[NAME=]FILE");
  ImageOptions& image = options.image;
  const std::string group = "Pictures: (value - mean) * scale / std, values in 0..255";
  auto* const pictures = app.add_option_group(group);
  AddChannelsOption(*pictures, "--mean", image.mean, true, "Subtracted first [0]");
  pictures->add_option("--scale", image.scale, "Factor [1]")->check(FiniteNumber())->type_name("S");
  AddChannelsOption(*pictures, "--std", image.std, false, "Divided by last [1]");
  pictures->add_option("--order", options.order, "Order of the channels [rgb]")
      ->check(CLI::IsMember({"rgb", "bgr"}));
  pictures->add_option("--resize", image.resize, "Length of the short side in pixels")
      ->check(WholeNumber(1, 1 << 16))
      ->type_name("N");
  pictures->add_option("--crop", image.crop, "Side of the square cut from the centre, in pixels")
      ->check(WholeNumber(1, 1 << 16))
      ->type_name("N");
}

Status CheckMemory(const std::vector<TensorSignature>& inputs,
                   const std::vector<TensorSignature>& outputs, uint64_t workspace_bytes) {
  const double memory =
      static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE));
  double needed = static_cast<double>(workspace_bytes);
  for (const auto* tensors : {&inputs, &outputs}) {
    for (const TensorSignature& tensor : *tensors) {
      KILN_ASSIGN_OR_RETURN(const int64_t bytes, TensorBytes(tensor.dtype, tensor.shape));
      needed += static_cast<double>(bytes);
    }
  }
  if (needed <= memory) return OkStatus();
  return InvalidInput("inputs, outputs and workspace take ", FormatBytes(needed),
                      ", this machine has a memory of ", FormatBytes(memory));
}

StatusOr<std::vector<HostTensor>> LoadInputs(const std::string& model, const InputOptions& options,
                                             const std::vector<TensorSignature>& signature,
                                             MissingInputs missing) {
  ImageOptions image = options.image;
  image.bgr = options.order == "bgr";
  std::vector<std::string> values(signature.size());
  std::string rest = missing == MissingInputs::kRandom ? "random" : "";
  for (const std::string& text : options.inputs) {
    const StatusOr<Assignment> parsed = ParseInput(text, signature);
    if (!parsed.ok()) return InFile(model, parsed.status());
    const Assignment& assignment = *parsed;
    std::string& value =
        assignment.index < 0 ? rest : values[static_cast<size_t>(assignment.index)];
    if (assignment.index >= 0 && !value.empty()) {
      return InvalidInput(model, ": --input ", text, ": this input has a value already: ", value);
    }
    value = assignment.value;
  }
  std::vector<HostTensor> inputs;
  for (size_t i = 0; i < signature.size(); ++i) {
    const std::string& value = values[i].empty() ? rest : values[i];
    if (value.empty()) {
      return InvalidInput(model, ": input '", signature[i].name, "', ",
                          TypeText(signature[i].dtype, signature[i].shape),
                          ", has no value: give it as --input ", signature[i].name, "=FILE");
    }
    const auto seed = RandomSeed(value);
    if (!seed && value.starts_with("random:")) {
      return InvalidInput(model, ": --input ", signature[i].name,
                          ": expected random:SEED with a whole number, found ", Quote(value));
    }
    auto input = seed ? RandomTensor(signature[i], *seed) : ReadInput(value, image, signature[i]);
    if (!input.ok()) return seed ? input.status() : InFile(value, input.status());
    inputs.push_back(*std::move(input));
  }
  return inputs;
}

}  // namespace kiln
