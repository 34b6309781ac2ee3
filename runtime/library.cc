#include "runtime/library.h"

#include <dlfcn.h>
#include <elf.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"
#include "runtime/file.h"
#include "runtime/host_tensor.h"

namespace kiln {
namespace {

constexpr uint64_t kMaxAlignment = uint64_t{1} << 21;
constexpr uint64_t kChunk = uint64_t{1} << 21;  // that parameters are copied by

absl::Status Invalid(const std::string& reason) { return absl::InvalidArgumentError(reason); }

absl::Status Annotate(const std::string& context, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(context, ": ", status.message()));
}

template <typename T>
absl::StatusOr<std::vector<T>> ReadTable(const InputFile& file, uint64_t offset, size_t count) {
  const absl::StatusOr<std::vector<char>> bytes = file.Read(offset, count * sizeof(T));
  if (!bytes.ok()) return bytes.status();
  std::vector<T> table(count);
  std::memcpy(table.data(), bytes->data(), bytes->size());
  return table;
}

// The loader maps what the headers say without asking whether the file is that long: the missing
// part of a truncated library would kill the process at first touch. So ask before.
absl::Status CheckElf(const std::string& path) {
  const absl::StatusOr<InputFile> file = InputFile::Open(path);
  if (!file.ok()) return file.status();
  const auto ends_early = [&] { return Invalid(absl::StrCat(path, ": truncated library")); };
  const absl::Status foreign = Invalid(absl::StrCat(path, ": not a shared library"));
  if (file->size() < sizeof(Elf64_Ehdr)) return foreign;
  const absl::StatusOr<std::vector<Elf64_Ehdr>> header = ReadTable<Elf64_Ehdr>(*file, 0, 1);
  if (!header.ok()) return header.status();
  const Elf64_Ehdr& elf = header->front();
  if (std::memcmp(elf.e_ident, ELFMAG, SELFMAG) != 0 || elf.e_type != ET_DYN) return foreign;
  if (elf.e_ident[EI_CLASS] != ELFCLASS64) return absl::OkStatus();  // dlopen says what is wrong.
  if (elf.e_phentsize != sizeof(Elf64_Phdr)) return foreign;
  const uint64_t sections = uint64_t{elf.e_shentsize} * elf.e_shnum;
  if (elf.e_shoff > file->size() || sections > file->size() - elf.e_shoff) return ends_early();
  const absl::StatusOr<std::vector<Elf64_Phdr>> segments =
      ReadTable<Elf64_Phdr>(*file, elf.e_phoff, elf.e_phnum);
  if (!segments.ok()) return ends_early();
  for (const Elf64_Phdr& segment : *segments) {
    if (segment.p_offset > file->size() || segment.p_filesz > file->size() - segment.p_offset) {
      return ends_early();
    }
  }
  return absl::OkStatus();
}

absl::Status CheckTensorInfo(const char* kind, int32_t index, const kiln_tensor_info& tensor) {
  const std::string what = absl::StrCat(kind, " ", index);
  if (tensor.name == nullptr) return Invalid(absl::StrCat(what, " has no name"));
  if (tensor.rank < 0 || (tensor.rank > 0 && tensor.shape == nullptr)) {
    return Invalid(absl::StrCat(what, " has no shape"));
  }
  const absl::StatusOr<int64_t> bytes =
      TensorBytes(tensor.dtype, std::vector<int64_t>(tensor.shape, tensor.shape + tensor.rank));
  if (!bytes.ok()) return Annotate(what, bytes.status());
  if (static_cast<uint64_t>(*bytes) != tensor.bytes) {
    return Invalid(absl::StrCat(what, ": size and shape differ"));
  }
  return absl::OkStatus();
}

absl::Status CheckTensors(const char* kind, int32_t count, const kiln_tensor_info* tensors) {
  if (count < 0 || (count > 0 && tensors == nullptr)) {
    return Invalid(absl::StrCat("table of ", kind, "s is missing"));
  }
  for (int32_t i = 0; i < count; ++i) {
    if (absl::Status status = CheckTensorInfo(kind, i, tensors[i]); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status CheckParameters(const kiln_library_info& info) {
  absl::Status status = CheckTensors("parameter", info.num_parameters, info.parameters);
  if (!status.ok()) return status;
  if (info.num_parameters > 0 && info.parameter_offsets == nullptr) {
    return Invalid("table of parameter offsets is missing");
  }
  for (int32_t i = 0; i < info.num_parameters; ++i) {
    const uint64_t offset = info.parameter_offsets[i];
    if (offset > info.parameters_bytes ||
        info.parameters[i].bytes > info.parameters_bytes - offset) {
      return Invalid(absl::StrCat("parameter ", i, " lies outside the block"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckLibraryInfo(const kiln_library_info& info) {
  if (info.producer == nullptr || info.model == nullptr) return Invalid("a name is missing");
  if (info.num_functions < 0 || (info.num_functions > 0 && info.functions == nullptr)) {
    return Invalid("table of functions is missing");
  }
  for (int32_t i = 0; i < info.num_functions; ++i) {
    if (absl::Status status = CheckFunctionInfo(info.functions[i]); !status.ok()) return status;
  }
  return CheckParameters(info);
}

}  // namespace

absl::Status CheckFunctionInfo(const kiln_function_info& function) {
  if (function.name == nullptr) return Invalid("function has no name");
  const std::string what = absl::StrCat("function '", function.name, "'");
  absl::Status status = CheckTensors("input", function.num_inputs, function.inputs);
  if (status.ok()) status = CheckTensors("output", function.num_outputs, function.outputs);
  if (!status.ok()) return Annotate(what, status);
  if (function.run == nullptr) return Invalid(absl::StrCat(what, " has no code"));
  const uint64_t alignment = function.workspace_alignment;
  if (alignment == 0 || (alignment & (alignment - 1)) != 0 || alignment > kMaxAlignment) {
    return Invalid(absl::StrCat(what, ": bad workspace alignment ", alignment));
  }
  if (function.num_steps < 0 || (function.num_steps > 0 && function.steps == nullptr)) {
    return Invalid(absl::StrCat(what, ": table of steps is missing"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const Library>> Library::Open(const std::string& path) {
  if (absl::Status status = CheckElf(path); !status.ok()) return status;
  // A name without a slash would be searched for in the system's folders.
  const std::string file = path.find('/') == std::string::npos ? absl::StrCat("./", path) : path;
  void* handle = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) return Invalid(absl::StrCat(path, ": cannot be loaded: ", dlerror()));
  std::shared_ptr<Library> library(new Library(handle));
  if (absl::Status status = library->FindDescriptor(); !status.ok()) return Annotate(path, status);
  return library;
}

absl::Status Library::FindDescriptor() {
  void* symbol = dlsym(handle_, "kiln_library");
  if (symbol == nullptr) return Invalid("not a Kiln library (it has no symbol 'kiln_library')");
  info_ = reinterpret_cast<decltype(&kiln_library)>(symbol)();
  if (info_ == nullptr) return Invalid("the library has no descriptor");
  if (info_->abi_version != KILN_ABI_VERSION) {
    return absl::UnimplementedError(absl::StrCat("the library has ABI version ", info_->abi_version,
                                                 ", this Kiln reads version ", KILN_ABI_VERSION));
  }
  const absl::Status status = CheckLibraryInfo(*info_);
  return status.ok() ? status : Annotate("bad descriptor", status);
}

Library::~Library() { dlclose(handle_); }

absl::StatusOr<std::shared_ptr<const Pages>> Library::CopyParameters() const {
  if (info_->parameters_data == nullptr || info_->parameters_bytes == 0) return nullptr;
  absl::StatusOr<Pages> copy = Pages::Map(info_->parameters_bytes, KILN_PARAMETERS_ALIGNMENT);
  if (!copy.ok()) return copy.status();
  const char* const source = static_cast<const char*>(info_->parameters_data);
  const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  for (uint64_t at = 0; at < info_->parameters_bytes; at += kChunk) {
    const uint64_t count = std::min(kChunk, info_->parameters_bytes - at);
    std::memcpy(copy->data() + at, source + at, count);
    // The pages that lie in the chunk; should anybody read them, they come back from the file.
    const uintptr_t start = reinterpret_cast<uintptr_t>(source + at), end = start + count;
    const uintptr_t first = (start + page - 1) / page * page, last = end / page * page;
    if (first < last) madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
  }
  return std::make_shared<const Pages>(*std::move(copy));
}

absl::StatusOr<const kiln_function_info*> Library::Function(const std::string& name) const {
  std::string names;
  for (int32_t i = 0; i < info_->num_functions; ++i) {
    const kiln_function_info& function = info_->functions[i];
    if (name == function.name) return &function;
    absl::StrAppend(&names, i == 0 ? "" : ", ", function.name);
  }
  return absl::NotFoundError(
      absl::StrCat("no function '", name, "' in the library; it has: ", names));
}

}  // namespace kiln
