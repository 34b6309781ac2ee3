// The table of ONNX operators: for each one the versions and attributes that are understood and
// the function that expresses it in Kiln's ops. `kiln ops --format onnx` prints it.
//
// One file of ops/ per family; the families are listed in op_table.cc. (No static registration:
// linkers drop it.)
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "compiler/import/foreign/problems.h"
#include "ir/support/status.h"
#include "proto/onnx.pb.h"

namespace kiln::onnx_import {

using namespace foreign;  // what all readers share

class Node;

/// The newest operator set that has been read against the table. An operator that has changed
/// since what its handler knows says so in `last`.
inline constexpr int kLatestOpset = 27;
/// An attribute that an operator may have, from opset `first` to `last`.
struct AttributeSpec {
  std::string name;
  onnx::AttributeProto::AttributeType type;
  bool required = false;
  int first = 1;
  int last = kLatestOpset;
};

AttributeSpec Int(std::string name);
AttributeSpec Ints(std::string name);
AttributeSpec Float(std::string name);
AttributeSpec Floats(std::string name);
AttributeSpec String(std::string name);
AttributeSpec Strings(std::string name);
AttributeSpec TensorValue(std::string name);
AttributeSpec Body(std::string name);  ///< a subgraph
AttributeSpec Required(AttributeSpec spec);
AttributeSpec Since(int first, AttributeSpec spec);
AttributeSpec Until(int last, AttributeSpec spec);

/// What an operator does with an operand of a NarrowType.
enum class OnNarrow : uint8_t {
  kRefuse,  ///< the node is not supported
  kPassOn,  ///< result 0 is of operand 0's type
  kHandle,  ///< the handler asks for it, and tells it of its results
};

struct OnnxOp {
  std::string name;  ///< with the domain in front, if it is not ONNX's own: see OperatorName
  /// Builds the node's results. Preflight has checked the attributes' names and types and the
  /// number of operands and results; their values are the handler's to check.
  Status (*handler)(Node& node) = nullptr;
  /// The Kiln op that a handler shared by several operators builds.
  std::string kind;
  Arity operands = {1, 1};
  int max_results = 1;
  std::vector<AttributeSpec> attributes;
  int first = 1;  ///< opset versions whose schema of this operator the handler knows
  int last = kLatestOpset;
  std::string limits;  ///< what is not supported, for the printed table
  OnNarrow on_narrow = OnNarrow::kRefuse;
};

/// What the table calls a node's operator: "Conv", "ai.onnx.preview.training.Adam".
std::string OperatorName(const onnx::NodeProto& node);

/// nullptr when there is no such operator.
const OnnxOp* FindOnnxOp(std::string_view name);
/// By name.
const std::vector<const OnnxOp*>& AllOnnxOps();

// The families.
std::vector<OnnxOp> UnaryOps();            // ops/unary.cc: activations, mathematical functions
std::vector<OnnxOp> BinaryOps();           // ops/binary.cc: arithmetic, comparison, Where, Clip
std::vector<OnnxOp> CastOps();             // ops/cast.cc: Cast, CastLike, Identity, Dropout
std::vector<OnnxOp> ShapeOps();            // ops/shape.cc: Reshape, Squeeze, Shape, ...
std::vector<OnnxOp> MovementOps();         // ops/movement.cc: Slice, Concat, Pad, Tile, ...
std::vector<OnnxOp> GatherOps();           // ops/gather.cc: Gather*, Scatter*, OneHot, ...
std::vector<OnnxOp> GeneratorOps();        // ops/generate.cc: Range, EyeLike, windows, ...
std::vector<OnnxOp> ReduceOps();           // ops/reduce.cc: Reduce*, Arg*, TopK, CumSum
std::vector<OnnxOp> ContractionOps();      // ops/contraction.cc: MatMul, Gemm, Conv, ConvTranspose
std::vector<OnnxOp> EinsumOps();           // ops/einsum.cc
std::vector<OnnxOp> PoolOps();             // ops/pool.cc
std::vector<OnnxOp> NormalizationOps();    // ops/normalization.cc: Softmax, *Normalization, LRN
std::vector<OnnxOp> ResizeOps();           // ops/resize.cc: Resize, Upsample
std::vector<OnnxOp> GridSampleOps();       // ops/grid_sample.cc
std::vector<OnnxOp> ColumnOps();           // ops/columns.cc: Col2Im, DeformConv
std::vector<OnnxOp> QuantizationOps();     // ops/quantization.cc
std::vector<OnnxOp> RecurrentOps();        // ops/recurrent.cc: RNN, GRU, LSTM
std::vector<OnnxOp> LossOps();             // ops/loss.cc
std::vector<OnnxOp> ControlOps();          // ops/control.cc: If, Loop, Scan
std::vector<OnnxOp> SequenceOps();         // ops/sequence.cc: Sequence*, Optional*
std::vector<OnnxOp> SignalOps();           // ops/signal.cc: DFT, STFT, MelWeightMatrix
std::vector<OnnxOp> RoiOps();              // ops/roi.cc: RoiAlign
std::vector<OnnxOp> TextOps();             // ops/text.cc: TfIdfVectorizer
std::vector<OnnxOp> DeterminantOps();      // ops/determinant.cc
std::vector<OnnxOp> AttentionOps();        // ops/attention.cc: Attention, RotaryEmbedding, ...
std::vector<OnnxOp> LinearAttentionOps();  // ops/linear_attention.cc: and CausalConvWithState
std::vector<OnnxOp> TrainingOps();         // ops/training.cc: Adagrad, Adam, Momentum, Gradient

}  // namespace kiln::onnx_import
