// The modules in tests/ops/cases: ops by family, each at boundary shapes and element types.
#pragma once

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "ir/graph/kir_file.h"

namespace kiln {

/// Their names, without folder and extension.
inline std::vector<std::string> CaseFiles() {
  std::vector<std::string> names;
  for (const auto& entry :
       std::filesystem::directory_iterator(KILN_SOURCE_DIR "/tests/ops/cases")) {
    if (entry.path().extension() == ".kir") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

inline StatusOr<std::unique_ptr<Module>> ReadCases(const std::string& name) {
  return LoadKir(StrCat(KILN_SOURCE_DIR "/tests/ops/cases/", name, ".kir"));
}

}  // namespace kiln
