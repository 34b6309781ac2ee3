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
#include <iterator>
#include <mutex>
#include <set>

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

/// A folder of our own for LLD, which reads and writes files only; gone with the object.
class ScratchFolder {
 public:
  static StatusOr<std::unique_ptr<ScratchFolder>> Make() {
    std::error_code error;
    const fs::path base = fs::temp_directory_path(error);
    if (error) return InvalidInput("no folder for temporary files: ", error.message());
    std::string pattern = (base / "kiln-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) {
      return InvalidInput("cannot make a temporary folder in ", base.string());
    }
    return std::unique_ptr<ScratchFolder>(new ScratchFolder(pattern));
  }
  ~ScratchFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  std::string PathOf(const std::string& name) const { return (path_ / name).string(); }

  StatusOr<std::string> Write(const std::string& name, const std::string& bytes) const {
    std::ofstream file(PathOf(name), std::ios::binary);
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    file.close();
    if (!file) return InvalidInput("cannot write ", PathOf(name), ": is the disk full?");
    return PathOf(name);
  }

  StatusOr<std::string> Read(const std::string& name) const {
    std::ifstream file(PathOf(name), std::ios::binary);
    if (!file) return InternalError("the linker wrote no output");
    return std::string((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  }

 private:
  explicit ScratchFolder(fs::path path) : path_(std::move(path)) {}
  fs::path path_;
};

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

/// The functions that `objects` call and none of them defines.
StatusOr<std::set<std::string>> UndefinedSymbols(const std::vector<std::string>& objects) {
  std::set<std::string> undefined;
  std::set<std::string> defined;
  for (const std::string& bytes : objects) {
    auto object =
        llvm::object::ObjectFile::createObjectFile(llvm::MemoryBufferRef(bytes, "object"));
    if (!object) return InternalError(llvm::toString(object.takeError()));
    for (const llvm::object::SymbolRef& symbol : (*object)->symbols()) {
      auto name = symbol.getName();
      auto flags = symbol.getFlags();
      if (!name || !flags) return InternalError("unreadable symbol table");
      if (name->empty()) continue;
      const bool is_undefined = (*flags & llvm::object::SymbolRef::SF_Undefined) != 0;
      (is_undefined ? undefined : defined).insert(name->str());
    }
  }
  for (const std::string& name : defined) undefined.erase(name);
  return undefined;
}

/// A library that only defines `symbols`, so that the real one of that SONAME becomes a dependency
/// without being on this machine (which may be of another kind than the target).
StatusOr<std::string> StubLibrary(const ScratchFolder& folder, const std::set<std::string>& symbols,
                                  const std::string& soname, const Target& target) {
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
  KILN_ASSIGN_OR_RETURN(const std::string object_path, folder.Write(soname + ".o", object));
  const std::string path = folder.PathOf(soname);
  KILN_RETURN_IF_ERROR(RunLld({"ld.lld", "-shared", "-soname", soname, "-o", path, object_path}));
  return path;
}

StatusOr<std::vector<std::string>> WriteObjects(const ScratchFolder& folder,
                                                const std::vector<std::string>& objects) {
  std::vector<std::string> paths;
  for (size_t i = 0; i < objects.size(); ++i) {
    KILN_ASSIGN_OR_RETURN(std::string path,
                          folder.Write(StrCat("o", static_cast<int64_t>(i), ".o"), objects[i]));
    paths.push_back(std::move(path));
  }
  return paths;
}

}  // namespace

StatusOr<std::string> LinkSharedLibrary(const std::vector<std::string>& objects,
                                        const std::string& soname, const Target& target) {
  KILN_ASSIGN_OR_RETURN(const auto folder, ScratchFolder::Make());
  KILN_ASSIGN_OR_RETURN(const std::set<std::string> undefined, UndefinedSymbols(objects));
  std::set<std::string> libc;
  std::set<std::string> libm;
  for (const std::string& symbol : undefined) {
    (LibcSymbols().contains(symbol) ? libc : libm).insert(symbol);
  }
  std::vector<std::string> arguments = {"ld.lld",
                                        "-shared",
                                        "-soname",
                                        soname,
                                        "-o",
                                        folder->PathOf("out"),
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
  KILN_ASSIGN_OR_RETURN(const std::vector<std::string> paths, WriteObjects(*folder, objects));
  arguments.insert(arguments.end(), paths.begin(), paths.end());
  for (const auto& [name, symbols] : {std::pair("libm.so.6", libm), std::pair("libc.so.6", libc)}) {
    if (symbols.empty()) continue;
    KILN_ASSIGN_OR_RETURN(std::string stub, StubLibrary(*folder, symbols, name, target));
    arguments.push_back(std::move(stub));
  }
  KILN_RETURN_IF_ERROR(RunLld(arguments));
  return folder->Read("out");
}

StatusOr<std::string> LinkRelocatable(const std::vector<std::string>& objects) {
  KILN_ASSIGN_OR_RETURN(const auto folder, ScratchFolder::Make());
  std::vector<std::string> arguments = {"ld.lld", "-r", "-o", folder->PathOf("out")};
  KILN_ASSIGN_OR_RETURN(const std::vector<std::string> paths, WriteObjects(*folder, objects));
  arguments.insert(arguments.end(), paths.begin(), paths.end());
  KILN_RETURN_IF_ERROR(RunLld(arguments));
  return folder->Read("out");
}

}  // namespace kiln
