// `kiln diff`: whether two models are the same network, and where not.
#include "compiler/diff/diff.h"

#include "tools/model.h"

namespace kiln {

namespace {

struct DiffOptions {
  ModelOptions a, b;
};

StatusOr<CanonicalNetwork> LoadCanonical(const ModelOptions& options, const Globals& globals) {
  KILN_ASSIGN_OR_RETURN(auto module, LoadModel(options, globals));
  return InFile(ModelFile(options), CanonicalNetwork::Create(std::move(module)));
}

const char* KindName(Difference::Kind kind) {
  switch (kind) {
    case Difference::Kind::kInterface: return "interface";
    case Difference::Kind::kOnlyInA: return "only in a";
    case Difference::Kind::kOnlyInB: return "only in b";
    case Difference::Kind::kChanged: return "changed";
    default: return "weights";
  }
}

void PrintResult(const CanonicalNetwork& a, const CanonicalNetwork& b,
                 const std::vector<Difference>& differences, const DiffOptions& options,
                 const Globals& globals) {
  if (globals.json) {
    Json list = Json::array();
    for (const Difference& difference : differences) {
      list.push_back({{"kind", KindName(difference.kind)},
                      {"layer", difference.layer},
                      {"reason", difference.reason}});
    }
    PrintJson({{"equal", differences.empty()},
               {"equal_structure", a.structure() == b.structure()},
               {"hashes", {a.hash(), b.hash()}},
               {"ops", {a.ops().size(), b.ops().size()}},
               {"differences", list}});
    return;
  }
  for (const Difference& difference : differences) PrintOut(ToString(difference) + "\n");
  PrintOut(StrCat(a.hash(), "  ", a.ops().size(), " ops  ", options.a.model, "\n"));
  PrintOut(StrCat(b.hash(), "  ", b.ops().size(), " ops  ", options.b.model, "\n"));
  if (differences.empty()) {
    PrintOut("equal\n");
  } else {
    PrintOut(StrCat(differences.size(), " differences",
                    a.structure() == b.structure() ? ", in the weights alone" : "", "\n"));
  }
}

Status Diff(const DiffOptions& options, const Globals& globals) {
  KILN_ASSIGN_OR_RETURN(const CanonicalNetwork a, LoadCanonical(options.a, globals));
  KILN_ASSIGN_OR_RETURN(const CanonicalNetwork b, LoadCanonical(options.b, globals));
  const std::vector<Difference> differences = Differences(a, b);
  PrintResult(a, b, differences, options, globals);
  if (differences.empty()) return OkStatus();
  return InFile(ModelFile(options.a), InvalidInput("is not the network in ", options.b.model));
}

}  // namespace

void AddDiffCommand(CLI::App& app, const Globals& globals, Action& action) {
  const auto options = std::make_shared<DiffOptions>();
  CLI::App* const command = app.add_subcommand(
      "diff",
      "Tell whether two models, in whatever formats, are the same network: both are brought\n"
      "into a canonical form, whose hash is printed; where they differ, the layers are named\n"
      "(`-` only in A, `+` only in B, `!` in both but different). Exit status 1 then.");
  AddModelArgument(*command, "A", options->a, "A model; files of one model joined by commas");
  AddModelArgument(*command, "B", options->b, "Another", "-b");
  AddFillOptions(*command, options->a);
  command->callback([options, &globals, &action] {
    action = [=, &globals] {
      options->b.batch = options->a.batch;
      options->b.param_seed = options->a.param_seed;
      return Diff(*options, globals);
    };
  });
}

}  // namespace kiln
