// Makes a failing module small.
#pragma once

#include <functional>
#include <memory>

#include "ir/graph/graph.h"

namespace kiln {

/// Tells whether a module still shows the failure.
using Fails = std::function<bool(const Module&)>;

/// Reduces a module with one function that fails: leaves only one output, makes inner values inputs
/// or outputs, takes ops out, and repeats while `fails` holds. The result fails too; print it.
std::unique_ptr<Module> Shrink(const Module& module, const Fails& fails);

/// A copy with one function, without the inputs, parameters and ops that no output needs.
std::unique_ptr<Module> WithoutUnused(const Module& module);

}  // namespace kiln
