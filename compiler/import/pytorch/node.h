// Node: what an operator's handler sees of one node of an exported program: arguments by name, as
// the operator's schema has them, and results.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "compiler/import/foreign/values.h"
#include "compiler/import/pytorch/op_table.h"
#include "compiler/import/pytorch/program.h"
#include "ir/graph/builder.h"

namespace kiln::pytorch_import {

class ProgramImporter;

class Node {
 public:
  Node(ProgramImporter* importer, const ProgramNode& node, const PytorchOp& op)
      : importer_(importer), node_(node), op_(op) {}

  const PytorchOp& op() const { return op_; }
  Builder& builder();

  /// The argument is given, and not None.
  bool Has(const std::string& name) const;
  bool IsTensor(const std::string& name) const;
  StatusOr<Op*> tensor(const std::string& name);
  /// A list of tensors, each given.
  StatusOr<std::vector<Op*>> tensors(const std::string& name);
  /// A list of tensors; null where there is None.
  StatusOr<std::vector<Op*>> optional_tensors(const std::string& name);
  /// The tensor, which is a statistic: a parameter that it is is not trained.
  StatusOr<Op*> statistic(const std::string& name);

  // Other arguments. A malformed one is an error at the first read; handlers ask for Problem() once
  // they have read what they need, or rely on Output, which does.
  int64_t Int(const std::string& name, int64_t otherwise = 0);
  double Float(const std::string& name, double otherwise = 0);
  bool Bool(const std::string& name, bool otherwise = false);
  std::string String(const std::string& name, const std::string& otherwise = "") const;
  /// A list, or a single number.
  std::vector<int64_t> Ints(const std::string& name);
  std::vector<double> Floats(const std::string& name);
  /// The number as it is given.
  std::optional<Number> Scalar(const std::string& name);
  bool IsBool(const std::string& name) const;
  /// An element type; `otherwise` where there is none.
  ElementType Type(const std::string& name, ElementType otherwise);
  const Status& Problem() const { return problem_; }

  int num_results() const { return static_cast<int>(node_.results.size()); }
  Status Output(int i, const StatusOr<Op*>& value);
  Status Output(const StatusOr<Op*>& value) { return Output(0, value); }
  /// The result, an integer.
  Status OutputInteger(int64_t value);
  /// An error when a result is not what the program says of it.
  Status CheckResults();

  StatusOr<Op*> Make(std::string_view kind, const std::vector<StatusOr<Op*>>& operands,
                     AttributeMap attributes = {}) {
    return builder().Make(kind, operands, std::move(attributes));
  }

 private:
  const Argument* Find(const std::string& name) const;
  void Malformed(const std::string& name);
  /// The numbers of the argument, the graph's integers put in.
  std::vector<Number> Numbers(const std::string& name);
  Number One(const std::string& name, const Number& otherwise);

  ProgramImporter* importer_;
  const ProgramNode& node_;
  const PytorchOp& op_;
  Status problem_;
};

/// One operand of arithmetic: a tensor or a number.
struct Operand {
  Op* op = nullptr;
  Number number;
  bool is_bool = false;  ///< of a number
};
StatusOr<Operand> ReadOperand(Node& n, const std::string& name);

/// torch.result_type: tensors with dimensions go before those without, those before numbers; a
/// lower one counts only where its category (bool, integer, float) is higher.
ElementType ResultType(const std::vector<Operand>& operands);

/// The operand as a value of this type.
StatusOr<Op*> ToType(Node& n, const Operand& operand, ElementType type);

/// f32 for integers, the type itself otherwise: what sqrt or mean compute in.
inline ElementType FloatOf(ElementType type) { return IsFloat(type) ? type : ElementType::kF32; }

}  // namespace kiln::pytorch_import
