// Checks of models against expected outputs, in the form that ONNX ships them: a folder with
// `model.onnx` and `test_data_set_*/{input,output}_*.pb`.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ir/graph/graph.h"
#include "ir/graph/tensor.h"
#include "ir/support/status.h"

namespace kiln {

/// One folder with a model and its data sets.
struct CheckCase {
  std::string name;                    ///< the folder's own name
  std::string model;                   ///< path of model.onnx
  std::vector<std::string> data_sets;  ///< paths of test_data_set_*, sorted
};

/// The cases in `path`: itself one, or a folder of such, at any depth (links are not followed).
/// Sorted by path; an error when there are none.
StatusOr<std::vector<CheckCase>> FindCases(const std::string& path);

/// `found` agrees with `expected` when |found - expected| <= atol + rtol * |expected|; NaN agrees
/// with NaN, infinities with themselves; integers and bools must be equal. f16 and bf16 may always
/// be a unit in the last place apart.
struct Tolerance {
  double rtol = 1e-3;
  double atol = 1e-5;
};

/// OK, or what differs first and by how much.
Status CompareTensors(const Tensor& found, const Tensor& expected, const Tolerance& tolerance);

/// Runs the module's function "forward" on inputs in the order of its graph.
using Executor = std::function<StatusOr<std::vector<Tensor>>(std::unique_ptr<Module> module,
                                                             const std::vector<Tensor>& inputs)>;

/// The executor of `--reference`: the interpreter, on the module as imported.
StatusOr<std::vector<Tensor>> ExecuteReference(std::unique_ptr<Module> module,
                                               const std::vector<Tensor>& inputs);

struct CheckResult {
  enum class Verdict { kPass, kFail, kSkip };
  Verdict verdict;
  std::string reason;  ///< one line; empty for kPass
};

/// Imports the case's model for each data set (its shapes, and its values where an operand must be
/// known when compiling), executes and compares. What is Unimplemented is skipped, every other
/// error is a failure.
CheckResult RunCase(const CheckCase& check_case, const Executor& executor,
                    const Tolerance& tolerance);

/// "PASS name", "FAIL name: reason", "SKIP name: unsupported (reason)".
std::string ResultLine(const std::string& name, const CheckResult& result);

}  // namespace kiln
