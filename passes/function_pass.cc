#include "passes/function_pass.h"

namespace kiln {

Pass FunctionPass(std::string name, std::string doc,
                  std::function<StatusOr<bool>(Graph&, PassContext&)> run) {
  return {.name = std::move(name),
          .doc = std::move(doc),
          .rules = {},
          .run = [run = std::move(run)](Module& module, PassContext& context) -> StatusOr<bool> {
            bool changed = false;
            for (const auto& function : module.functions()) {
              KILN_ASSIGN_OR_RETURN(const bool here, run(*function, context));
              changed |= here;
            }
            return changed;
          }};
}

}  // namespace kiln
