#include "compiler/import/pytorch/archive.h"

#include <algorithm>
#include <set>
#include <string_view>

#include "compiler/import/foreign/json.h"
#include "compiler/import/foreign/problems.h"
#include "compiler/import/pytorch/pickle.h"
#include "compiler/import/pytorch/tensor_meta.h"
#include "runtime/zip_archive.h"

namespace kiln::pytorch_import {

namespace {

using foreign::Find;
using foreign::Json;
using foreign::Printable;
using foreign::TextIn;

constexpr std::string_view kOldProgram = "serialized_exported_program.json";

class ArchiveReader {
 public:
  ArchiveReader(ZipArchive zip, size_t size)
      : zip_(std::move(zip)), names_(zip_.Names()), left_(size), tensors_(size) {}

  StatusOr<Archive> Read() {
    if (zip_.Has(std::string(kOldProgram))) return ReadOld();
    FindFolder();
    return ReadNew();
  }

 private:
  // The folder that holds everything: PyTorch names it as the file.
  void FindFolder() {
    for (const std::string& name : names_) {
      const std::string_view last = "archive_format";
      if (name == last || name.ends_with("/archive_format")) {
        folder_ = name.substr(0, name.size() - last.size());
        return;
      }
    }
  }

  StatusOr<Archive> ReadOld() {
    Archive archive;
    KILN_ASSIGN_OR_RETURN(archive.program, Member(std::string(kOldProgram)));
    KILN_ASSIGN_OR_RETURN(archive.weights, Saved("serialized_state_dict.pt"));
    if (zip_.Has("serialized_constants.pt")) {  // since 2.2
      KILN_ASSIGN_OR_RETURN(archive.constants, Saved("serialized_constants.pt"));
    }
    return archive;
  }

  StatusOr<Archive> ReadNew() {
    KILN_ASSIGN_OR_RETURN(const std::string model, FindModel());
    if (zip_.Has(folder_ + "byteorder")) {
      KILN_ASSIGN_OR_RETURN(const std::vector<char> order, Member(folder_ + "byteorder"));
      if (std::string_view(order.data(), order.size()) != "little") {
        return Unsupported("the archive was written by a big-endian machine");
      }
    }
    Archive archive;
    KILN_ASSIGN_OR_RETURN(archive.program, Member(StrCat(folder_, "models/", model, ".json")));
    KILN_ASSIGN_OR_RETURN(archive.weights, Payloads("weights", model));
    KILN_ASSIGN_OR_RETURN(archive.constants, Payloads("constants", model));
    return archive;
  }

  StatusOr<std::string> FindModel() const {
    const std::string prefix = folder_ + "models/";
    std::set<std::string> models;
    bool pickled = false;
    for (const std::string& name : names_) {
      pickled |= name == "data.pkl" || name.ends_with("/data.pkl");
      if (!name.starts_with(prefix) || !name.ends_with(".json")) continue;
      models.insert(name.substr(prefix.size(), name.size() - prefix.size() - 5));
    }
    if (models.size() == 1) return *models.begin();
    if (models.size() > 1) {
      return Unsupported("the archive holds ", static_cast<uint64_t>(models.size()),
                         " programs, expected one: ", Printable(StrJoin(models, ", ")));
    }
    return InvalidInput("the archive holds no program of torch.export",
                        pickled ? ", but what torch.save or torch.jit.save writes" : "");
  }

  // Models are small beside their weights, so everything is read, once.
  StatusOr<std::vector<char>> Member(const std::string& name) {
    auto bytes = zip_.Read(name, left_);
    if (!bytes.ok()) return InvalidInput(Printable(Message(bytes.status())));
    left_ -= bytes->size();
    return bytes;
  }

  StatusOr<Tensors> Saved(const std::string& name) {
    KILN_ASSIGN_OR_RETURN(const std::vector<char> bytes, Member(name));
    auto tensors = ReadSavedTensors(bytes);
    if (!tensors.ok()) return Annotate(tensors.status(), Printable(name));
    return tensors;
  }

  // What lies in data/weights/ or data/constants/.
  StatusOr<Tensors> Payloads(const std::string& what, const std::string& model) {
    const std::string place = StrCat(folder_, "data/", what, "/");
    if (const std::string saved = StrCat(place, model, ".pt"); zip_.Has(saved)) {
      return Saved(saved);
    }
    const std::string table = StrCat(place, model, "_", what, "_config.json");
    KILN_ASSIGN_OR_RETURN(const std::vector<char> text, Member(table));
    auto tensors = Table(place, text);
    if (!tensors.ok()) return Annotate(tensors.status(), Printable(table));
    return tensors;
  }

  StatusOr<Tensors> Table(const std::string& place, std::span<const char> text) {
    KILN_ASSIGN_OR_RETURN(const Json json, foreign::ParseJson(text, "table"));
    const Json* const config = Find(json, "config");
    if (config == nullptr || !config->is_object()) return InvalidInput("has no config");
    Tensors tensors;
    for (const auto& [name, payload] : config->items()) {
      auto tensor = Payload(place, payload);
      if (!tensor.ok()) return Annotate(tensor.status(), StrCat("'", Printable(name), "'"));
      tensors[name] = *std::move(tensor);
    }
    return tensors;
  }

  StatusOr<Tensor> Payload(const std::string& place, const Json& json) {
    const Json* const pickled = Find(json, "use_pickle");
    if (pickled != nullptr && *pickled != false) return Unsupported("is a pickled object");
    const Json* const description = Find(json, "tensor_meta");
    if (description == nullptr) return InvalidInput("has no tensor_meta");
    KILN_ASSIGN_OR_RETURN(const TensorMeta meta, ReadTensorMeta(*description));
    if (!meta.element) return Unsupported("its element type is not supported");
    const std::string path = place + TextIn(json, "path_name");
    if (!storages_.contains(path)) {
      KILN_ASSIGN_OR_RETURN(std::vector<char> bytes, Member(path));
      auto owner = std::make_shared<std::vector<char>>(std::move(bytes));
      storages_[path] = {owner, *owner};
    }
    Shape sizes;
    for (const Extent& extent : meta.sizes) sizes.push_back(extent.value);
    return tensors_.Read(storages_[path], *meta.element, sizes, meta.strides, meta.offset);
  }

  ZipArchive zip_;
  std::vector<std::string> names_;
  std::string folder_;
  uint64_t left_;  // bytes that may still be read
  StorageReader tensors_;
  std::map<std::string, Storage> storages_;
};

}  // namespace

StatusOr<Archive> ReadArchive(std::span<const char> bytes) {
  auto zip = ZipArchive::Open(bytes);
  if (!zip.ok()) return InvalidInput("the archive cannot be read: ", Message(zip.status()));
  return ArchiveReader(*std::move(zip), bytes.size()).Read();
}

}  // namespace kiln::pytorch_import
