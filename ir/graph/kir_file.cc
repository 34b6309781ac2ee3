#include "ir/graph/kir_file.h"

#include "ir/graph/parser.h"
#include "ir/graph/printer.h"
#include "ir/graph/side_file.h"
#include "ir/support/file.h"

namespace kiln {

StatusOr<std::unique_ptr<Module>> LoadKir(const std::string& path) {
  KILN_ASSIGN_OR_RETURN(const auto file, MappedFile::Open(path));
  KILN_ASSIGN_OR_RETURN(const auto side_file, OpenSideFileOf(path));
  auto module = ParseModule({file->bytes().data(), file->bytes().size()}, side_file.get());
  if (!module.ok())
    return Status(module.status().code(), StrCat(path, ":", Message(module.status())));
  return module;
}

Status SaveKir(const Module& module, const std::string& path) {
  const std::vector<Tensor> tensors = SideTensors(module);
  if (!tensors.empty()) KILN_RETURN_IF_ERROR(WriteSideFile(SideFilePath(path), tensors));
  const std::string text = Print(module);
  return WriteFileAtomically(path, {text});
}

}  // namespace kiln
