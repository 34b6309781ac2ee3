// An exported program: the graph, its signature, and what is known of its values, from the JSON
// that torch/_export/serde/schema.py describes.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "compiler/import/pytorch/argument.h"
#include "compiler/import/pytorch/tensor_meta.h"
#include "ir/support/status.h"

namespace kiln::pytorch_import {

struct ProgramNode {
  std::string name;    ///< of the first result, where it has one
  std::string target;  ///< "aten.relu.default", "_operator.mul"
  std::string label;   ///< for the user: the module's name and the node's, "features.0/conv2d"
  std::map<std::string, Argument> arguments;  ///< by their names in the operator's schema
  std::vector<std::string> results;           ///< names; "" where there is none
};

/// What a graph input stands for.
struct InputSpec {
  enum class Kind { kUser, kParameter, kBuffer, kConstant, kOther };
  Kind kind = Kind::kOther;
  std::string name;    ///< of the value; empty where it is no tensor
  std::string target;  ///< the parameter's, buffer's or constant's name
  std::string what;    ///< what kOther is called, and a user input that is no tensor
};

struct OutputSpec {
  enum class Kind { kUser, kOther };
  Kind kind = Kind::kOther;
  Argument value;      ///< of kUser
  std::string what;    ///< what kOther is called: "buffer_mutation"
  std::string target;  ///< of what
};

struct Program {
  std::vector<InputSpec> inputs;
  std::vector<OutputSpec> outputs;
  std::vector<ProgramNode> nodes;  ///< in topological order
  std::map<std::string, TensorMeta> values;
};

/// Regions without gradients or with autocast switched off become part of the graph around them.
StatusOr<Program> ReadProgram(std::span<const char> json);

}  // namespace kiln::pytorch_import
