// Kiln's native model format, proto/kiln.proto: a module as binary or text protobuf. Whatever the
// text form of the IR keeps (ir/graph/equal.h), this keeps too.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "ir/graph/graph.h"
#include "ir/graph/side_file.h"
#include "ir/support/status.h"

namespace kiln {

enum class NativeForm { kBinary, kText };

struct NativeOptions {
  NativeForm form = NativeForm::kBinary;
  /// Tensors over kMaxInlineElements go to the side file PATH.data instead of the model file.
  bool side_file = false;
};

/// Whether a file that starts with these bytes is a native model, and in which form.
bool DetectNative(std::span<const char> bytes, NativeForm* form = nullptr);

/// The module in `bytes`, which may be hostile: every op goes through the builder; sizes, counts
/// and depths are bounded. Tensors named by hash come from `side_file`; when that is null or lacks
/// them they are unknown. Errors name function and op.
StatusOr<std::unique_ptr<Module>> ParseNative(std::span<const char> bytes, NativeForm form,
                                              const SideFile* side_file = nullptr);

/// The model file's content; the same bytes for the same module. An error when it would pass the
/// 2 GiB that protobuf can hold.
StatusOr<std::string> SerializeNative(const Module& module, const NativeOptions& options);

/// Errors start with the path.
StatusOr<std::unique_ptr<Module>> LoadNative(const std::string& path);
Status SaveNative(const Module& module, const std::string& path, const NativeOptions& options);

}  // namespace kiln
