// JSON of model files, which may be hostile.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>

#include "ir/support/status.h"

namespace kiln::foreign {

using Json = nlohmann::json;

/// Parses an object; an error, which calls the text `what`, when it is none, or is larger, nested
/// deeper or made of more parts than any model's is.
StatusOr<Json> ParseJson(std::span<const char> bytes, const std::string& what);

/// The member `key` of an object; nullptr when there is none, or it is null, or `json` is no
/// object.
const Json* Find(const Json& json, const char* key);

/// The text in the member `key`; empty when there is none.
std::string TextIn(const Json& json, const char* key);

}  // namespace kiln::foreign
