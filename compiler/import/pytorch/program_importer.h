// ProgramImporter: turns the nodes of an exported program into ops of a Kiln graph. A node that
// fails does not stop the import: its results become poisoned, what depends on them is passed over,
// and all failures are reported together.
//
// Programs may work in place. A node that does gives its first argument a new value, under all
// names that it has; where a view of it is read later, which would have to change too, the node is
// refused.
#pragma once

#include <map>
#include <set>
#include <string>

#include "compiler/import/foreign/values.h"
#include "compiler/import/pytorch/archive.h"
#include "compiler/import/pytorch/op_table.h"
#include "compiler/import/pytorch/program.h"

namespace kiln::pytorch_import {

/// Everything in the program that is not supported, at once.
Status Preflight(const Program& program);

class ProgramImporter {
 public:
  /// `options`, `program` and `archive` must outlive this.
  ProgramImporter(Graph* graph, const ImportOptions& options, const Program& program,
                  const Archive& archive)
      : values_(graph, options), program_(program), archive_(archive) {}

  Status Import();

  foreign::Values& values() { return values_; }
  /// An integer of the graph.
  StatusOr<int64_t> Integer(const std::string& name) const;
  void SetInteger(const std::string& name, int64_t value) { integers_[name] = value; }
  /// OK when the value `name` is what the program says of it.
  Status CheckAgainstProgram(const std::string& name, const TensorType& type) const;

 private:
  /// The memory that a value lies in, and what of it: names of one memory that are `whole` alike
  /// are the same tensor.
  struct Place {
    int memory = 0;
    int whole = 0;
  };

  Status MakeInput(const InputSpec& spec);
  Status MakeUserInput(const std::string& name);
  Status MakeParameter(const InputSpec& spec);
  Status ImportNode(const ProgramNode& node, size_t index);
  /// Notes where the node's results lie.
  void PlaceResults(const ProgramNode& node, const Target& target);
  void PlaceValue(const std::string& name, const Place& place);
  /// A memory, and a whole, of its own.
  Place NewPlace() { return {next_place_, next_place_++}; }
  /// After a node worked in place on its first argument: the new value under all its names.
  Status Overwrite(const ProgramNode& node, const Target& target, size_t index);
  void Poison(const ProgramNode& node);
  Status MakeOutputs();
  void NoteUses();

  foreign::Values values_;
  const Program& program_;
  const Archive& archive_;
  foreign::ProblemList problems_;
  std::map<std::string, int64_t> integers_;
  std::map<std::string, int64_t> symbols_;     // extents that inputs have settled
  std::set<std::string> inputs_;               // names of user inputs
  std::map<std::string, std::string> frozen_;  // what may not be written: value, what it is
  std::map<std::pair<const char*, Shape>, Op*> parameters_;  // by where their tensors lie
  std::map<std::string, Place> places_;
  std::map<int, std::vector<std::string>> sharers_;  // the values in a memory
  std::map<std::string, size_t> last_uses_;          // the last node that reads a value
  int next_place_ = 0;
};

}  // namespace kiln::pytorch_import
