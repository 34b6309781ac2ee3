#include "ir/ops/ops_doc.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "ir/graph/op_def.h"

namespace kiln {
namespace {

constexpr char kPath[] = KILN_SOURCE_DIR "/docs/ops.md";

TEST(OpsDocTest, PageIsUpToDate) {
  if (std::getenv("KILN_UPDATE_DOCS") != nullptr) {
    std::ofstream(kPath) << OpsDocumentation();
  }
  std::stringstream page;
  page << std::ifstream(kPath).rdbuf();
  EXPECT_TRUE(page.str() == OpsDocumentation())
      << "docs/ops.md is out of date; its header says how to write it again";
}

TEST(OpsDocTest, EveryOpExplainsItself) {
  for (const OpDef* const def : AllOps()) {
    EXPECT_FALSE(def->doc.empty()) << def->name;
    EXPECT_TRUE(def->infer != nullptr) << def->name;
    for (const AttributeDef& attribute : def->attributes) {
      EXPECT_FALSE(attribute.doc.empty()) << def->name << " " << attribute.name;
      if (attribute.default_value) {
        EXPECT_EQ(attribute.default_value->kind(), attribute.kind) << def->name;
      }
    }
  }
}

TEST(OpsDocTest, EveryOpComputesInOneWay) {
  for (const OpDef* const def : AllOps()) {
    const int ways = (def->element != nullptr) + (def->nest != nullptr) + (def->stages != nullptr) +
                     (def->decompose != nullptr);
    const bool structural = (def->traits & (kLeaf | kRegion)) != 0;
    EXPECT_EQ(ways, structural ? 0 : 1) << def->name;
    EXPECT_TRUE(structural || def->decompose || def->evaluate) << def->name;
  }
}

}  // namespace
}  // namespace kiln
