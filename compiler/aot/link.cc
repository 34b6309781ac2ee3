#include "compiler/aot/link.h"

#include <lld/Common/Driver.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/LLVMContext.h>
#include <llvm/IR/Module.h>
#include <llvm/Object/ObjectFile.h>
#include <llvm/Support/MemoryBuffer.h>
#include <llvm/Support/raw_ostream.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>

#include "compiler/codegen/emit.h"
#include "compiler/codegen/llvm_target.h"

LLD_HAS_DRIVER(elf)

namespace kiln {

namespace fs = std::filesystem;

namespace {

const std::set<std::string>& LibcSymbols() {
  static const auto* const symbols =
      new std::set<std::string>{"memcpy", "memmove", "memset", "memcmp"};
  return *symbols;
}

Status RunLld(const std::vector<std::string>& arguments) {
  static std::mutex mutex;
  const std::lock_guard<std::mutex> lock(mutex);
  std::vector<const char*> raw;
  for (const std::string& argument : arguments) raw.push_back(argument.c_str());
  std::string messages;
  llvm::raw_string_ostream stream(messages);
  const lld::Result result = lld::lldMain(raw, stream, stream, {{lld::Gnu, &lld::elf::link}});
  if (result.retCode == 0) return OkStatus();
  std::replace(messages.begin(), messages.end(), '\n', ' ');
  return InternalError("linking failed: ", messages);
}

}  // namespace

StatusOr<std::unique_ptr<Linker>> Linker::Create() {
  std::error_code error;
  const fs::path base = fs::temp_directory_path(error);
  if (error) return InvalidInput("no folder for temporary files: ", error.message());
  std::string pattern = (base / "kiln-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) {
    return InvalidInput("cannot make a temporary folder in ", base.string());
  }
  return std::unique_ptr<Linker>(new Linker(pattern));
}

Linker::~Linker() {
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

Status Linker::Write(const std::string& name, const std::string& bytes) const {
  std::ofstream file(PathOf(name), std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  if (!file) return InvalidInput("cannot write ", PathOf(name), ": is the disk full?");
  return OkStatus();
}

std::string Linker::AddFile() {
  files_.push_back(PathOf(StrCat("o", static_cast<int64_t>(files_.size()), ".o")));
  return files_.back();
}

Status Linker::Add(const std::string& bytes) {
  auto object = llvm::object::ObjectFile::createObjectFile(llvm::MemoryBufferRef(bytes, "object"));
  if (!object) return InternalError(llvm::toString(object.takeError()));
  for (const llvm::object::SymbolRef& symbol : (*object)->symbols()) {
    auto name = symbol.getName();
    auto flags = symbol.getFlags();
    if (!name || !flags) return InternalError("unreadable symbol table");
    if (name->empty()) continue;
    const bool is_undefined = (*flags & llvm::object::SymbolRef::SF_Undefined) != 0;
    (is_undefined ? undefined_ : defined_).insert(name->str());
  }
  return Write(fs::path(AddFile()).filename().string(), bytes);
}

// A library that only defines `symbols`, so that the real one of that SONAME becomes a dependency
// without being on this machine (which may be of another kind than the target).
StatusOr<std::string> Linker::StubLibrary(const std::set<std::string>& symbols,
                                          const std::string& soname, const Target& target) const {
  llvm::LLVMContext context;
  llvm::Module module("stub", context);
  KILN_ASSIGN_OR_RETURN(const auto machine, MakeTargetMachine(target));
  module.setTargetTriple(target.triple);
  module.setDataLayout(machine->createDataLayout());
  auto* const type = llvm::FunctionType::get(llvm::Type::getVoidTy(context), {}, false);
  for (const std::string& symbol : symbols) {
    auto* const function =
        llvm::Function::Create(type, llvm::GlobalValue::ExternalLinkage, symbol, module);
    llvm::IRBuilder<>(llvm::BasicBlock::Create(context, "entry", function)).CreateRetVoid();
  }
  KILN_ASSIGN_OR_RETURN(const std::string object,
                        OptimizeAndWrite(module, *machine, CodeForm::kObject));
  KILN_RETURN_IF_ERROR(Write(soname + ".o", object));
  const std::string path = PathOf(soname);
  KILN_RETURN_IF_ERROR(
      RunLld({"ld.lld", "-shared", "-soname", soname, "-o", path, PathOf(soname + ".o")}));
  return path;
}

StatusOr<std::shared_ptr<const MappedFile>> Linker::Link(std::vector<std::string> arguments) const {
  const std::string linked = PathOf("out");
  arguments.insert(arguments.end(), {"-o", linked});
  KILN_RETURN_IF_ERROR(RunLld(arguments));
  return MappedFile::Open(linked);
}

StatusOr<std::shared_ptr<const MappedFile>> Linker::LinkSharedLibrary(const std::string& soname,
                                                                      const Target& target) {
  std::vector<std::string> arguments = {"ld.lld",
                                        "-shared",
                                        "-soname",
                                        soname,
                                        "--strip-all",
                                        "--build-id=none",
                                        "-z",
                                        "noexecstack",
                                        "-z",
                                        "relro",
                                        "-z",
                                        "now",
                                        "--gc-sections",
                                        "--hash-style=gnu",
                                        "--no-undefined"};
  arguments.insert(arguments.end(), files_.begin(), files_.end());
  std::set<std::string> libc, libm;
  for (const std::string& name : undefined_) {
    if (defined_.contains(name)) continue;
    (LibcSymbols().contains(name) ? libc : libm).insert(name);
  }
  for (const auto& [name, symbols] : {std::pair("libm.so.6", libm), std::pair("libc.so.6", libc)}) {
    if (symbols.empty()) continue;
    KILN_ASSIGN_OR_RETURN(std::string stub, StubLibrary(symbols, name, target));
    arguments.push_back(std::move(stub));
  }
  return Link(std::move(arguments));
}

StatusOr<std::shared_ptr<const MappedFile>> Linker::LinkRelocatable() {
  std::vector<std::string> arguments = {"ld.lld", "-r"};
  arguments.insert(arguments.end(), files_.begin(), files_.end());
  return Link(std::move(arguments));
}

}  // namespace kiln
