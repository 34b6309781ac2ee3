// What tests of the PyTorch reader write: programs as torch.export describes them, and archives.
#pragma once

#include <gtest/gtest.h>
#include <zip.h>

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "compiler/import/pytorch/archive.h"
#include "compiler/import/pytorch/tensor_meta.h"
#include "ir/graph/tensor.h"

namespace kiln::pytorch_import {

using Json = nlohmann::json;

/// schema.py's number of an element type.
inline int ScalarType(ElementType element) {
  for (int number = 0; number < 40; ++number) {
    if (ToElementType(number) == element) return number;
  }
  return 0;
}

inline Json Sizes(const std::vector<int64_t>& values) {
  Json sizes = Json::array();
  for (const int64_t value : values) {
    sizes.push_back(value >= 0 ? Json{{"as_int", value}}
                               : Json{{"as_expr", {{"expr_str", "Symbol('s0', positive=True)"}}}});
  }
  return sizes;
}

/// A TensorMeta; extents of -1 are the symbol s0.
inline Json Meta(ElementType element, const Shape& shape) {
  return {{"dtype", ScalarType(element)},
          {"sizes", Sizes(shape)},
          {"strides", Sizes(RowMajorStrides(shape))},
          {"storage_offset", {{"as_int", 0}}},
          {"requires_grad", true},
          {"layout", 7}};
}

/// An argument in short: "x" is a tensor, "'same" text, and lists of them; numbers, truth values
/// and null are themselves; an object is the argument in full.
inline Json Argument(const Json& value) {
  const auto tensor = [](const Json& name) { return Json{{"name", name}}; };
  if (value.is_null()) return {{"as_none", true}};
  if (value.is_boolean()) return {{"as_bool", value}};
  if (value.is_number_integer()) return {{"as_int", value}};
  if (value.is_number()) return {{"as_float", value}};
  if (value.is_object()) return value;
  if (value.is_string()) {
    const auto text = value.get<std::string>();
    if (text.starts_with("'")) return {{"as_string", text.substr(1)}};
    return {{"as_tensor", tensor(value)}};
  }
  bool names = false, floats = false, symbols = false;
  for (const Json& entry : value) {
    names |= entry.is_string() || entry.is_null();
    floats |= entry.is_number_float();
    symbols |= entry.is_object();
  }
  if (symbols) return {{"as_sym_ints", value}};
  if (!names) return {{floats ? "as_floats" : "as_ints", value}};
  Json entries = Json::array();
  for (const Json& entry : value) {
    entries.push_back(entry.is_null() ? Json{{"as_none", true}}
                                      : Json{{"as_tensor", tensor(entry)}});
  }
  return {{"as_optional_tensors", entries}};
}

class ProgramBuilder {
 public:
  ProgramBuilder& Input(const std::string& name, const Shape& shape,
                        ElementType element = ElementType::kF32) {
    inputs_.push_back({{"user_input", {{"arg", {{"as_tensor", {{"name", name}}}}}}}});
    values_[name] = Meta(element, shape);
    return *this;
  }
  /// A value of kind "parameter", "buffer" or "tensor_constant".
  ProgramBuilder& Weight(const std::string& kind, const std::string& name,
                         const std::string& target, const Tensor& tensor) {
    inputs_.push_back({{kind, {{"arg", {{"name", name}}}, {kind + "_name", target}}}});
    values_[name] = Meta(tensor.type().element, tensor.shape());
    (kind == "tensor_constant" ? constants_ : weights_)[target] = tensor;
    return *this;
  }
  /// `arguments`: an object, each in short. A result that starts with "#" is an integer.
  ProgramBuilder& Node(const std::string& target, const Json& arguments,
                       const std::vector<std::string>& results, const std::string& module = "") {
    Json node = {{"target", target}, {"inputs", Json::array()}, {"outputs", Json::array()}};
    if (!target.starts_with("_operator")) node["target"] = "torch.ops." + target;
    for (const auto& [name, value] : arguments.items()) {
      node["inputs"].push_back({{"name", name}, {"arg", Argument(value)}, {"kind", 1}});
    }
    for (const std::string& result : results) {
      node["outputs"].push_back(result.starts_with("#")
                                    ? Json{{"as_sym_int", {{"as_name", result.substr(1)}}}}
                                    : Json{{"as_tensor", {{"name", result}}}});
    }
    node["metadata"] = {{"nn_module_stack", "L__self__,,Net;L__self___m," + module + ",Layer"}};
    nodes_.push_back(std::move(node));
    return *this;
  }
  /// A node around the nodes of `inner`, whose values of these names are its operands and results.
  /// `settings`: the arguments before the graph.
  ProgramBuilder& Region(const std::string& target, const std::vector<Json>& settings,
                         const ProgramBuilder& inner, const std::vector<std::string>& operands,
                         const std::vector<std::string>& inner_inputs,
                         const std::vector<std::string>& inner_outputs,
                         const std::vector<std::string>& results) {
    Json inputs = Json::array();
    const auto add = [&inputs](const Json& argument) {
      inputs.push_back({{"name", ""}, {"arg", argument}});
    };
    const auto list = [](const std::vector<std::string>& names) {
      Json all = Json::array();
      for (const std::string& name : names) all.push_back(Argument(name));
      return all;
    };
    for (const Json& setting : settings) add(Argument(setting));
    add({{"as_graph",
          {{"name", "submod"},
           {"graph",
            {{"nodes", inner.nodes_},
             {"tensor_values", inner.values_},
             {"inputs", list(inner_inputs)},
             {"outputs", list(inner_outputs)}}}}}});
    for (const std::string& operand : operands) add(Argument(operand));
    nodes_.push_back({{"target", "torch.ops." + target},
                      {"inputs", inputs},
                      {"outputs", list(results)},
                      {"name", "region"}});
    return *this;
  }
  /// What the program says of a value.
  ProgramBuilder& Value(const std::string& name, const Json& meta) {
    values_[name] = meta;
    return *this;
  }
  ProgramBuilder& Output(const std::string& name) {
    output_specs_.push_back({{"user_output", {{"arg", {{"as_tensor", {{"name", name}}}}}}}});
    return *this;
  }
  ProgramBuilder& OutputSpec(const Json& spec) {
    output_specs_.push_back(spec);
    return *this;
  }

  std::string Text() const {
    return Json{{"graph_module",
                 {{"graph", {{"nodes", nodes_}, {"tensor_values", values_}}},
                  {"signature", {{"input_specs", inputs_}, {"output_specs", output_specs_}}}}},
                {"schema_version", {{"major", 8}, {"minor", 1}}}}
        .dump();
  }
  Archive Build() const {
    const std::string text = Text();
    return {{text.begin(), text.end()}, weights_, constants_};
  }
  /// The members of an archive as written since 2.9.
  std::map<std::string, std::string> Members() const {
    std::map<std::string, std::string> members = {{"net/archive_format", "pt2"},
                                                  {"net/byteorder", "little"},
                                                  {"net/models/model.json", Text()}};
    AddPayloads("weights", "weight_", weights_, members);
    AddPayloads("constants", "tensor_", constants_, members);
    return members;
  }

 private:
  static void AddPayloads(const std::string& what, const std::string& prefix,
                          const Tensors& tensors, std::map<std::string, std::string>& members) {
    Json config = Json::object();
    int i = 0;
    for (const auto& [name, tensor] : tensors) {
      const std::string path = prefix + std::to_string(i++);
      config[name] = {{"path_name", path},
                      {"use_pickle", false},
                      {"tensor_meta", Meta(tensor.type().element, tensor.shape())}};
      members["net/data/" + what + "/" + path] = {tensor.bytes().data(), tensor.bytes().size()};
    }
    members["net/data/" + what + "/model_" + what + "_config.json"] =
        Json{{"config", config}}.dump();
  }

  Json inputs_ = Json::array(), output_specs_ = Json::array(), nodes_ = Json::array(),
       values_ = Json::object();
  Tensors weights_, constants_;
};

/// A zip archive of these members.
inline std::string Zip(const std::map<std::string, std::string>& members, bool compress = false) {
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t* const target = zip_source_buffer_create(nullptr, 0, 0, &error);
  zip_source_keep(target);
  zip_t* const zip = zip_open_from_source(target, ZIP_TRUNCATE, &error);
  for (const auto& [name, text] : members) {
    zip_source_t* const source = zip_source_buffer(zip, text.data(), text.size(), 0);
    const zip_int64_t index = zip_file_add(zip, name.c_str(), source, 0);
    zip_set_file_compression(zip, static_cast<zip_uint64_t>(index),
                             compress ? ZIP_CM_DEFLATE : ZIP_CM_STORE, 0);
  }
  EXPECT_EQ(zip_close(zip), 0);
  zip_stat_t info;
  zip_source_stat(target, &info);
  std::string bytes(info.size, '\0');
  zip_source_open(target);
  EXPECT_EQ(zip_source_read(target, bytes.data(), bytes.size()),
            static_cast<zip_int64_t>(bytes.size()));
  zip_source_close(target);
  zip_source_free(target);
  zip_error_fini(&error);
  return bytes;
}

}  // namespace kiln::pytorch_import
