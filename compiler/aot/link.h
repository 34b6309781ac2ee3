// Linking object files with the LLD inside Kiln.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "compiler/schedule/target.h"
#include "ir/support/file.h"
#include "ir/support/status.h"

namespace kiln {

/// Object files on their way to one output. They lie in a folder of their own for temporary files,
/// which is gone with the linker.
class Linker {
 public:
  static StatusOr<std::unique_ptr<Linker>> Create();
  ~Linker();
  Linker(const Linker&) = delete;
  Linker& operator=(const Linker&) = delete;

  /// Adds a relocatable ELF file held in memory.
  Status Add(const std::string& object);
  /// A path to which the caller writes an object file without undefined symbols before linking.
  std::string AddFile();

  /// A shared library. Undefined functions must be libm's or libc's memory functions; the library
  /// then names libm.so.6 or libc.so.6 as needed. Linkers on several threads wait for each other:
  /// LLD has global state.
  StatusOr<std::shared_ptr<const MappedFile>> LinkSharedLibrary(const std::string& soname,
                                                                const Target& target);
  /// One relocatable object.
  StatusOr<std::shared_ptr<const MappedFile>> LinkRelocatable();

 private:
  explicit Linker(std::string folder) : folder_(std::move(folder)) {}
  std::string PathOf(const std::string& name) const { return folder_ + "/" + name; }
  Status Write(const std::string& name, const std::string& bytes) const;
  StatusOr<std::string> StubLibrary(const std::set<std::string>& symbols, const std::string& soname,
                                    const Target& target) const;
  StatusOr<std::shared_ptr<const MappedFile>> Link(std::vector<std::string> arguments) const;

  std::string folder_;
  std::vector<std::string> files_;
  std::set<std::string> defined_, undefined_;  // symbols of the objects added so far
};

}  // namespace kiln
