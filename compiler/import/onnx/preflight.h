// Preflight: everything in a model that is not supported, found before anything is built.
#pragma once

#include "compiler/import/foreign/problems.h"
#include "compiler/import/onnx/model.h"
#include "ir/support/status.h"
#include "proto/onnx.pb.h"

namespace kiln::onnx_import {

/// Walks all nodes, those of subgraphs and of called functions included, and checks operators,
/// versions, attributes (names, types, presence), operand counts and element types.
Status Preflight(const onnx::ModelProto& model, const Opsets& opsets, const Functions& functions);

/// The type of an attribute; for the oldest files, that have none, told from what is filled in.
int AttributeType(const onnx::AttributeProto& attribute);

}  // namespace kiln::onnx_import
