// The explicit list of op families. Each family is one file that defines its ops completely; a new
// family is one file, one declaration here and one line in op_table.cc. (No static registration:
// linkers drop it.)
#pragma once

#include <vector>

#include "ir/graph/op_def.h"

namespace kiln {

std::vector<OpDef> LeafOps();               // input, parameter, constant, fusion
std::vector<OpDef> ElementwiseUnaryOps();   // functions of one operand, clip, cast
std::vector<OpDef> ElementwiseBinaryOps();  // arithmetic, comparisons, logic, where
std::vector<OpDef> ActivationOps();         // relu, elu, gelu, ...
std::vector<OpDef> MovementOps();           // reshape, transpose, broadcast, relayout, iota
std::vector<OpDef> SliceOps();              // slice, concat, pad
std::vector<OpDef> GatherOps();             // gather, gather_elements, gather_nd
std::vector<OpDef> ScatterOps();            // scatter_elements, scatter_nd
std::vector<OpDef> ReduceOps();             // reduce_sum, reduce_mean, reduce_max, ...
std::vector<OpDef> ArgReduceOps();          // argmax, argmin
std::vector<OpDef> ScanOps();               // cumsum
std::vector<OpDef> TopKOps();               // top_k_values, top_k_indices
std::vector<OpDef> MatmulOps();             // matmul
std::vector<OpDef> ConvOps();               // conv, conv_transpose
std::vector<OpDef> WinogradOps();           // winograd_conv
std::vector<OpDef> WinogradGradientOps();   // winograd_weight_gradient
std::vector<OpDef> ConvGradientOps();       // conv_weight_gradient
std::vector<OpDef> PoolOps();               // max_pool, max_pool_indices, avg_pool, lp_pool
std::vector<OpDef> UnpoolOps();             // sum_unpool, fold, max_pool_taps, max_unpool
std::vector<OpDef> SoftmaxOps();            // softmax, log_softmax
std::vector<OpDef> NormalizationOps();      // lrn, batch_norm, layer_norm, standardize, ...
std::vector<OpDef> RandomOps();             // random_uniform, dropout
std::vector<OpDef> LossOps();               // softmax_cross_entropy, mean_squared_error, ...
std::vector<OpDef> ResizeOps();             // resize

}  // namespace kiln
