// Reading an ONNX model's structure: operator sets, names of nodes, the order of nodes.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "compiler/import/foreign/problems.h"
#include "ir/support/status.h"
#include "proto/onnx.pb.h"

namespace kiln::onnx_import {

using namespace foreign;  // what all readers share

/// Versions by domain; ONNX's own domain is "".
using Opsets = std::map<std::string, int64_t>;

/// "" for both spellings of ONNX's own domain.
std::string NormalDomain(const std::string& domain);

/// The operator sets that a model or function imports; an error when a version is out of range.
StatusOr<Opsets> ReadOpsets(
    const google::protobuf::RepeatedPtrField<onnx::OperatorSetIdProto>& imports);

/// How messages call a node: its name, or that of its first result, or its operator.
std::string NodeLabel(const onnx::NodeProto& node);

using Nodes = google::protobuf::RepeatedPtrField<onnx::NodeProto>;

/// The nodes in an order in which values are made before they are used: the file's order where it
/// allows. Errors: a cycle, a value made twice. `defined` are the graph's inputs and initializers.
/// Names that no node makes are not looked at; they come from there or from an outer graph.
StatusOr<std::vector<const onnx::NodeProto*>> SortNodes(const Nodes& nodes,
                                                        const std::set<std::string>& defined);

/// The subgraphs of a node's attributes.
std::vector<const onnx::GraphProto*> Subgraphs(const onnx::NodeProto& node);

/// The model's functions by (domain, name, overload).
using FunctionKey = std::tuple<std::string, std::string, std::string>;
using Functions = std::map<FunctionKey, const onnx::FunctionProto*>;
StatusOr<Functions> ReadFunctions(const onnx::ModelProto& model);
FunctionKey CalleeKey(const onnx::NodeProto& node);

}  // namespace kiln::onnx_import
