#!/usr/bin/env python3
"""Writes op_cases.jsonl: operators of PyTorch, their arguments, and what PyTorch computes for them.

Needs PyTorch. Each case below is the operator and its arguments by name: "x" is the operand x, "'same"
text, everything else itself; "#1" behind them means result 1.
"""
import json
import pathlib

import torch


def ramp(shape, factor, modulus, offset, divisor):
    count = torch.Size(shape).numel()
    return ((torch.arange(count) * factor % modulus - offset) / divisor).reshape(shape)


OPERANDS = {
    "x": torch.tensor([[-1, 0.5, 2], [-0.25, 1.5, 3]]),
    "a": torch.tensor([[-0.5, 0.25], [0.75, 0]]),
    "e": torch.tensor([[9.0, 8], [7, 6]]),
    "f": torch.tensor([0.5, 2]).reshape(2, 1, 1, 1),
    "g": torch.tensor([[1.0, 1.25], [2, 1.5]]),
    "h4": torch.tensor([1, 0.5, 0, -1]),
    "i": torch.tensor([2, 0]),
    "j": torch.tensor([[0, 2, 1], [1, 0, 0]]),
    "m": torch.tensor([[1.0, -2], [0.5, 3], [2, -1]]),
    "n": torch.tensor([[7, -7, 3], [-3, 2, 5]]),
    "o": torch.tensor(1.5),
    "p": torch.tensor([0.5, -1]),
    "q": torch.tensor([2, 0.25]),
    "r": torch.tensor([1, 0.5, -2]),
    "s": torch.tensor([[[1.0, 0, 2, -1], [0.5, 1, -1, 0], [2, -2, 1, 1]]]),
    "t": torch.tensor([[True, False, True], [False, True, False]]),
    "u": ramp((1, 4, 2), 3, 8, 4, 4),
    "v": ramp((1, 2, 4, 4), 7, 32, 12, 8),
    "b": ramp((4, 1, 2), 5, 8, 3, 4),
    "h": torch.tensor([[0, 1]]),
    "k": ramp((2, 2, 3, 3), 5, 36, 18, 16),
    "d": ramp((2, 1, 3, 3), 5, 18, 9, 16),
    "w": ramp((1, 1, 2, 3, 3), 5, 18, 9, 16),
    "c": ramp((1, 1, 2, 2, 2), 3, 8, 4, 8),
    "l": ramp((2, 3, 3), 5, 18, 9, 16),
    "y": torch.tensor([[0.5], [1], [2]]),
    "z": torch.tensor([[0.0, -1, 0.5], [0.25, 0, 1], [-2, 0, 0]]),
}
TYPES = {5: torch.int64, 7: torch.float32}
NUMBERS = {torch.int64: 5, torch.float32: 7, torch.bool: 12}

CASES = """
aten.__and__.Scalar {"self": "n", "other": 3}
aten.__and__.Tensor {"self": "n", "other": "j"}
aten.__or__.Scalar {"self": "n", "other": 3}
aten.__or__.Tensor {"self": "t", "other": "t"}
aten.__xor__.Scalar {"self": "n", "other": 3}
aten.__xor__.Tensor {"self": "n", "other": "j"}
aten._adaptive_avg_pool2d.default {"self": "v", "output_size": [3, 3]}
aten._adaptive_avg_pool3d.default {"self": "c", "output_size": [1, 2, 1]}
aten._fused_rms_norm.default {"input": "x", "normalized_shape": [3], "weight": "r", "eps": 0.1}
aten._log_softmax.default {"self": "x", "dim": 1, "half_to_float": false}
aten._native_batch_norm_legit.no_stats {"input": "v", "weight": "p", "bias": "q", "training": true, "momentum": 0.1, "eps": 1e-05}
aten._native_batch_norm_legit_no_training.default {"input": "x", "weight": null, "bias": "r", "running_mean": "r", "running_var": "r", "momentum": 0.1, "eps": 3.0}
aten._prelu_kernel.default {"self": "x", "weight": "r"}
aten._reshape_copy.default {"self": "x", "size": [3, 2]}
aten._safe_softmax.default {"self": "x", "dim": 1}
aten._scaled_dot_product_flash_attention_for_cpu.default {"query": "v", "key": "v", "value": "v", "scale": 0.2}
aten._softmax.default {"self": "x", "dim": 0, "half_to_float": false}
aten._to_copy.default {"self": "n", "dtype": {"as_scalar_type": 7}}
aten._unsafe_view.default {"self": "x", "size": [3, 2]}
aten._upsample_nearest_exact1d.default {"self": "s", "output_size": [6]}
aten._upsample_nearest_exact1d.vec {"input": "s", "output_size": [7], "scale_factors": null}
aten._upsample_nearest_exact2d.default {"self": "v", "output_size": [3, 6]}
aten._upsample_nearest_exact2d.vec {"input": "v", "output_size": [2, 5], "scale_factors": null}
aten._weight_norm.default {"v": "k", "g": "f", "dim": 0}
aten._weight_norm_interface.default {"v": "m", "g": "y", "dim": 0}
aten.abs.default {"self": "x"}
aten.absolute.default {"self": "x"}
aten.acos.default {"self": "a"}
aten.acosh.default {"self": "g"}
aten.adaptive_avg_pool1d.default {"self": "s", "output_size": [5]}
aten.adaptive_avg_pool2d.default {"self": "v", "output_size": [1, 1]}
aten.adaptive_avg_pool2d.default {"self": "v", "output_size": [2, 4]}
aten.adaptive_avg_pool3d.default {"self": "c", "output_size": [2, 1, 2]}
aten.adaptive_max_pool1d.default {"self": "s", "output_size": [3]}
aten.adaptive_max_pool2d.default {"self": "v", "output_size": [2, 2]} #1
aten.adaptive_max_pool2d.default {"self": "v", "output_size": [3, 2]}
aten.adaptive_max_pool3d.default {"self": "c", "output_size": [2, 1, 2]}
aten.add.Scalar {"self": "x", "other": 2, "alpha": 3}
aten.add.Tensor {"self": "n", "other": 0.5}
aten.add.Tensor {"self": "t", "other": "t"}
aten.add.Tensor {"self": "x", "other": "n"}
aten.add.Tensor {"self": "x", "other": "r", "alpha": 2}
aten.add.Tensor {"self": "x", "other": 1.5}
aten.add_.Tensor {"self": "x", "other": "r"}
aten.addcdiv.default {"self": "x", "tensor1": "x", "tensor2": "r", "value": 0.5}
aten.addcmul.default {"self": "x", "tensor1": "x", "tensor2": "r", "value": 0.5}
aten.addmm.default {"self": "p", "mat1": "x", "mat2": "m", "beta": 0.5, "alpha": 2}
aten.addmv.default {"self": "p", "mat": "x", "vec": "r", "beta": 2}
aten.alias.default {"self": "x"}
aten.alias_copy.default {"self": "x"}
aten.all.default {"self": "t"}
aten.all.dim {"self": "t", "dim": 0, "keepdim": true}
aten.all.dims {"self": "x", "dim": [0, 1]}
aten.alpha_dropout.default {"input": "x", "p": 0.5, "train": false}
aten.amax.default {"self": "x", "dim": [0]}
aten.amin.default {"self": "x", "dim": [0, 1]}
aten.any.default {"self": "n"}
aten.any.dim {"self": "t", "dim": 0}
aten.any.dims {"self": "t", "dim": [1]}
aten.arange.default {"end": 4}
aten.arange.start {"start": -2, "end": 3}
aten.arange.start_step {"start": 1, "end": 2, "step": 0.3}
aten.argmax.default {"self": "x"}
aten.argmin.default {"self": "x", "dim": 1}
aten.argsort.default {"self": "x", "dim": 0}
aten.argsort.stable {"self": "x", "stable": true, "dim": 1, "descending": true}
aten.asin.default {"self": "a"}
aten.asinh.default {"self": "x"}
aten.atan.default {"self": "x"}
aten.atanh.default {"self": "a"}
aten.avg_pool1d.default {"self": "s", "kernel_size": [3], "stride": [2], "padding": [1]}
aten.avg_pool2d.default {"self": "v", "kernel_size": [2, 2], "divisor_override": 3}
aten.avg_pool2d.default {"self": "v", "kernel_size": [2, 2]}
aten.avg_pool2d.default {"self": "v", "kernel_size": [3, 3], "stride": [2, 2], "padding": [1, 1], "ceil_mode": true}
aten.avg_pool2d.default {"self": "v", "kernel_size": [3, 3], "stride": [2, 2], "padding": [1, 1], "count_include_pad": false}
aten.avg_pool3d.default {"self": "c", "kernel_size": [2, 2, 1]}
aten.baddbmm.default {"self": "o", "batch1": "s", "batch2": "u", "alpha": 2}
aten.batch_norm.default {"input": "v", "weight": "p", "bias": "q", "running_mean": "p", "running_var": "q", "training": false, "momentum": 0.1, "eps": 1e-05, "cudnn_enabled": false}
aten.batch_norm.default {"input": "v", "weight": "p", "bias": null, "running_mean": null, "running_var": null, "training": true, "momentum": 0.1, "eps": 1e-05, "cudnn_enabled": false}
aten.bitwise_and.Scalar {"self": "n", "other": 6}
aten.bitwise_and.Tensor {"self": "n", "other": "n"}
aten.bitwise_not.default {"self": "n"}
aten.bitwise_or.Scalar {"self": "n", "other": 6}
aten.bitwise_or.Tensor {"self": "t", "other": "t"}
aten.bitwise_xor.Scalar {"self": "n", "other": 6}
aten.bitwise_xor.Tensor {"self": "t", "other": "t"}
aten.bmm.default {"self": "s", "mat2": "u"}
aten.broadcast_to.default {"self": "r", "size": [2, 3]}
aten.cat.default {"tensors": ["x", "n"], "dim": 1}
aten.ceil.default {"self": "x"}
aten.celu.default {"self": "x", "alpha": 2}
aten.channel_shuffle.default {"self": "v", "groups": 2}
aten.chunk.default {"self": "x", "chunks": 2, "dim": 0} #1
aten.clamp.Tensor {"self": "x", "min": "r"}
aten.clamp.default {"self": "n", "min": -0.5, "max": 2.5}
aten.clamp.default {"self": "x", "min": -0.5}
aten.clamp_max.Tensor {"self": "x", "max": "r"}
aten.clamp_max.default {"self": "x", "max": 1}
aten.clamp_min.Tensor {"self": "x", "min": "r"}
aten.clamp_min.default {"self": "x", "min": 0.75}
aten.clip.default {"self": "x", "min": 0, "max": 1}
aten.clone.default {"self": "x"}
aten.concat.default {"tensors": ["x", "x"], "dim": 0}
aten.concatenate.default {"tensors": ["x", "n"], "dim": -1}
aten.constant_pad_nd.default {"self": "x", "pad": [1, 0, 0, 1], "value": 7}
aten.contiguous.default {"self": "x"}
aten.conv1d.default {"input": "s", "weight": "l", "bias": "p", "padding": [1]}
aten.conv1d.padding {"input": "s", "weight": "l", "padding": "'same"}
aten.conv2d.default {"input": "v", "weight": "d", "padding": [1, 1], "stride": [3, 3], "groups": 2}
aten.conv2d.default {"input": "v", "weight": "k", "bias": "p", "stride": [2, 2], "padding": [1, 1]}
aten.conv2d.default {"input": "v", "weight": "k", "bias": "p"}
aten.conv2d.padding {"input": "v", "weight": "k", "padding": "'same", "dilation": [2, 2]}
aten.conv3d.default {"input": "w", "weight": "c", "bias": null, "stride": [1, 1, 2]}
aten.conv3d.padding {"input": "w", "weight": "c", "padding": "'valid"}
aten.conv_transpose1d.default {"input": "u", "weight": "b", "stride": [2], "output_padding": [1]}
aten.conv_transpose2d.input {"input": "v", "weight": "k", "bias": "p", "stride": [1, 1], "padding": [2, 2]}
aten.conv_transpose3d.input {"input": "c", "weight": "c", "padding": [1, 0, 1]}
aten.convolution.default {"input": "v", "weight": "d", "bias": "p", "stride": [1, 1], "padding": [2, 2], "dilation": [1, 1], "transposed": true, "output_padding": [0, 0], "groups": 2}
aten.convolution.default {"input": "v", "weight": "k", "bias": null, "stride": [1, 1], "padding": [0, 0], "dilation": [1, 1], "transposed": false, "output_padding": [0, 0], "groups": 1}
aten.copy.default {"self": "x", "src": "r"}
aten.cos.default {"self": "x"}
aten.cosh.default {"self": "x"}
aten.cosine_similarity.default {"x1": "x", "x2": "r"}
aten.cumsum.default {"self": "x", "dim": 1}
aten.detach.default {"self": "x"}
aten.detach_.default {"self": "x"}
aten.detach_copy.default {"self": "x"}
aten.div.Scalar {"self": "n", "other": 4}
aten.div.Scalar_mode {"self": "n", "other": 4, "rounding_mode": "'floor"}
aten.div.Tensor {"self": "n", "other": 2}
aten.div.Tensor {"self": "x", "other": "r"}
aten.div.Tensor_mode {"self": "n", "other": 2, "rounding_mode": "'floor"}
aten.div.Tensor_mode {"self": "n", "other": 2, "rounding_mode": "'trunc"}
aten.div.Tensor_mode {"self": "x", "other": "r", "rounding_mode": "'floor"}
aten.divide.Scalar {"self": "n", "other": 4}
aten.divide.Scalar_mode {"self": "x", "other": 0.75, "rounding_mode": "'trunc"}
aten.divide.Tensor {"self": "x", "other": "n"}
aten.divide.Tensor_mode {"self": "n", "other": "n", "rounding_mode": "'trunc"}
aten.dot.default {"self": "r", "tensor": "r"}
aten.dropout_.default {"self": "x", "p": 0.5, "train": false}
aten.dropout.default {"input": "x", "p": 0.5, "train": false}
aten.einsum.default {"equation": "'...j,j", "tensors": ["s", "h4"]}
aten.einsum.default {"equation": "'ij,jk->ki", "tensors": ["x", "m"]}
aten.elu.default {"self": "x", "alpha": 1.5}
aten.elu.default {"self": "x", "alpha": 1.67, "scale": 1.05, "input_scale": 0.5}
aten.embedding.default {"weight": "m", "indices": "i"}
aten.eq.Scalar {"self": "n", "other": 3}
aten.eq.Tensor {"self": "x", "other": "r"}
aten.erf.default {"self": "x"}
aten.erfc.default {"self": "x"}
aten.exp.default {"self": "x"}
aten.exp2.default {"self": "x"}
aten.expand.default {"self": "r", "size": [2, -1]}
aten.expand_as.default {"self": "r", "other": "x"}
aten.expand_copy.default {"self": "r", "size": [2, 3]}
aten.expm1.default {"self": "x"}
aten.eye.default {"n": 2}
aten.eye.m {"n": 2, "m": 3}
aten.feature_alpha_dropout.default {"input": "v", "p": 0.5, "train": false}
aten.feature_dropout.default {"input": "v", "p": 0.5, "train": false}
aten.fill.Scalar {"self": "x", "value": 2}
aten.fill.Tensor {"self": "x", "value": "o"}
aten.flatten.using_ints {"self": "s", "start_dim": 1}
aten.flip.default {"self": "x", "dims": [1]}
aten.floor.default {"self": "x"}
aten.floor_divide.Scalar {"self": "n", "other": 4}
aten.floor_divide.default {"self": "n", "other": 2}
aten.fmod.Scalar {"self": "n", "other": 4}
aten.fmod.Tensor {"self": "x", "other": "r"}
aten.full.default {"size": [2, 2], "fill_value": 1.5}
aten.full.default {"size": [2], "fill_value": 3}
aten.full_like.default {"self": "n", "fill_value": 2}
aten.gather.default {"self": "x", "dim": 1, "index": "j"}
aten.ge.Scalar {"self": "x", "other": 0.5}
aten.ge.Tensor {"self": "x", "other": "r"}
aten.gelu.default {"self": "x", "approximate": "'tanh"}
aten.gelu.default {"self": "x"}
aten.glu.default {"self": "v", "dim": 1}
aten.greater.Scalar {"self": "x", "other": 1}
aten.greater.Tensor {"self": "x", "other": "r"}
aten.greater_equal.Scalar {"self": "x", "other": 1}
aten.greater_equal.Tensor {"self": "x", "other": "r"}
aten.group_norm.default {"input": "v", "num_groups": 1, "weight": "p", "bias": "q"}
aten.gt.Scalar {"self": "x", "other": 0.5}
aten.gt.Tensor {"self": "x", "other": "r"}
aten.hardshrink.default {"self": "x", "lambd": 0.6}
aten.hardsigmoid.default {"self": "x"}
aten.hardswish.default {"self": "x"}
aten.hardtanh.default {"self": "x", "min_val": -0.5, "max_val": 1.25}
aten.hstack.default {"tensors": ["r", "p"]}
aten.hstack.default {"tensors": ["x", "n"]}
aten.index.Tensor {"self": "m", "indices": ["i"]}
aten.index.Tensor {"self": "s", "indices": [null, "i", "i"]}
aten.index.Tensor {"self": "x", "indices": [null, "i"]}
aten.index_put.default {"self": "m", "indices": ["i"], "values": "p"}
aten.index_select.default {"self": "x", "dim": 1, "index": "i"}
aten.instance_norm.default {"input": "v", "weight": "p", "bias": "q", "running_mean": null, "running_var": null, "use_input_stats": true, "momentum": 0.1, "eps": 1e-05, "cudnn_enabled": false}
aten.isfinite.default {"self": "x"}
aten.isinf.default {"self": "n"}
aten.isnan.default {"self": "x"}
aten.layer_norm.default {"input": "x", "normalized_shape": [3], "weight": "r", "bias": "r"}
aten.le.Scalar {"self": "x", "other": 0.5}
aten.le.Tensor {"self": "n", "other": "x"}
aten.leaky_relu.default {"self": "x", "negative_slope": 0.2}
aten.lerp.Scalar {"self": "x", "end": "r", "weight": 0.25}
aten.lerp.Tensor {"self": "x", "end": "r", "weight": "r"}
aten.less.Scalar {"self": "x", "other": 1}
aten.less.Tensor {"self": "x", "other": "r"}
aten.less_equal.Scalar {"self": "x", "other": 1}
aten.less_equal.Tensor {"self": "x", "other": "r"}
aten.lift.default {"self": "x"}
aten.lift_fresh.default {"self": "x"}
aten.lift_fresh_copy.default {"self": "x"}
aten.linalg_vector_norm.default {"self": "x", "ord": 2, "dim": [1]}
aten.linalg_vector_norm.default {"self": "x", "ord": 3, "dim": [1]}
aten.linear.default {"input": "m", "weight": "m", "bias": "r"}
aten.linear.default {"input": "x", "weight": "x"}
aten.linspace.default {"start": 0, "end": 1, "steps": 5}
aten.log.default {"self": "q"}
aten.log10.default {"self": "q"}
aten.log1p.default {"self": "q"}
aten.log2.default {"self": "q"}
aten.log_sigmoid.default {"self": "x"}
aten.log_sigmoid_forward.default {"self": "x"}
aten.log_softmax.int {"self": "x", "dim": 1}
aten.logical_and.default {"self": "t", "other": "x"}
aten.logical_not.default {"self": "t"}
aten.logical_or.default {"self": "t", "other": "n"}
aten.logical_xor.default {"self": "t", "other": "n"}
aten.logit.default {"self": "a", "eps": 0.1}
aten.logsumexp.default {"self": "x", "dim": [1]}
aten.lt.Scalar {"self": "x", "other": 1}
aten.lt.Tensor {"self": "x", "other": "n"}
aten.mT.default {"self": "s"}
aten.masked_fill.Scalar {"self": "x", "mask": "t", "value": -1e9}
aten.masked_fill.Tensor {"self": "x", "mask": "t", "value": "o"}
aten.matmul.default {"self": "x", "other": "r"}
aten.max.default {"self": "x"}
aten.max.dim {"self": "x", "dim": 1}
aten.max.dim {"self": "x", "dim": 1} #1
aten.max.other {"self": "x", "other": "n"}
aten.max_pool1d.default {"self": "s", "kernel_size": [2]}
aten.max_pool1d_with_indices.default {"self": "s", "kernel_size": [3], "stride": [1]} #1
aten.max_pool2d.default {"self": "v", "kernel_size": [2, 2]}
aten.max_pool2d.default {"self": "v", "kernel_size": [3, 3], "stride": [2, 2], "padding": [1, 1], "ceil_mode": true}
aten.max_pool2d_with_indices.default {"self": "v", "kernel_size": [2, 2]} #1
aten.max_pool3d.default {"self": "c", "kernel_size": [1, 2, 2]}
aten.max_pool3d_with_indices.default {"self": "w", "kernel_size": [2, 2, 2], "stride": [1, 1, 1]} #1
aten.maximum.default {"self": "x", "other": "r"}
aten.mean.default {"self": "x"}
aten.mean.dim {"self": "v", "dim": [-1, -2], "keepdim": true}
aten.meshgrid.default {"tensors": ["p", "r"]}
aten.meshgrid.indexing {"tensors": ["p", "r"], "indexing": "'xy"} #1
aten.min.default {"self": "n"}
aten.min.dim {"self": "x", "dim": 0, "keepdim": true} #1
aten.min.other {"self": "x", "other": "r"}
aten.minimum.default {"self": "x", "other": "r"}
aten.mish.default {"self": "x"}
aten.mm.default {"self": "x", "mat2": "m"}
aten.movedim.int {"self": "s", "source": 0, "destination": 2}
aten.movedim.intlist {"self": "s", "source": [0, 1], "destination": [2, 0]}
aten.mul.Scalar {"self": "n", "other": 0.5}
aten.mul.Tensor {"self": "n", "other": "t"}
aten.mul.Tensor {"self": "x", "other": "r"}
aten.multiply.Scalar {"self": "n", "other": 2}
aten.multiply.Tensor {"self": "t", "other": "t"}
aten.mv.default {"self": "x", "vec": "r"}
aten.narrow.default {"self": "x", "dim": 1, "start": 1, "length": 2}
aten.native_channel_shuffle.default {"self": "v", "groups": 2}
aten.native_dropout.default {"input": "x", "p": 0.5, "train": false} #1
aten.native_group_norm.default {"input": "v", "weight": "p", "bias": "q", "N": 1, "C": 2, "HxW": 16, "group": 2, "eps": 1e-05}
aten.native_layer_norm.default {"input": "s", "normalized_shape": [3, 4], "weight": null, "bias": null, "eps": 0.01}
aten.ne.Scalar {"self": "n", "other": 3}
aten.ne.Tensor {"self": "x", "other": "r"}
aten.neg.default {"self": "n"}
aten.negative.default {"self": "x"}
aten.new_full.default {"self": "n", "size": [2], "fill_value": 5}
aten.new_ones.default {"self": "x", "size": [2, 1]}
aten.new_zeros.default {"self": "x", "size": [3]}
aten.norm.Scalar {"self": "x", "p": 2}
aten.norm.ScalarOpt_dim {"self": "x", "p": 1, "dim": [1], "keepdim": true}
aten.not_equal.Scalar {"self": "x", "other": 2}
aten.not_equal.Tensor {"self": "x", "other": "r"}
aten.numpy_T.default {"self": "s"}
aten.one_hot.default {"self": "i", "num_classes": 4}
aten.ones.default {"size": [2, 2], "dtype": {"as_scalar_type": 5}}
aten.ones_like.default {"self": "n"}
aten.outer.default {"self": "r", "vec2": "p"}
aten.pad.default {"self": "s", "pad": [1, 2], "mode": "'reflect"}
aten.permute.default {"self": "s", "dims": [2, 0, 1]}
aten.permute_copy.default {"self": "x", "dims": [1, 0]}
aten.pixel_shuffle.default {"self": "s", "upscale_factor": 1}
aten.pixel_unshuffle.default {"self": "v", "downscale_factor": 2}
aten.positive.default {"self": "x"}
aten.pow.Scalar {"self": 2, "exponent": "x"}
aten.pow.Tensor_Scalar {"self": "q", "exponent": -0.5}
aten.pow.Tensor_Scalar {"self": "q", "exponent": 0.75}
aten.pow.Tensor_Scalar {"self": "x", "exponent": 2}
aten.pow.Tensor_Scalar {"self": "x", "exponent": 3}
aten.pow.Tensor_Tensor {"self": "g", "exponent": "a"}
aten.prelu.default {"self": "x", "weight": "r"}
aten.prod.default {"self": "n"}
aten.prod.dim_int {"self": "x", "dim": 1}
aten.ravel.default {"self": "x"}
aten.reciprocal.default {"self": "x"}
aten.reflection_pad1d.default {"self": "s", "padding": [2, 1]}
aten.reflection_pad2d.default {"self": "v", "padding": [1, 0, 0, 0]}
aten.reflection_pad3d.default {"self": "c", "padding": [1, 0, 0, 1, 1, 0]}
aten.relu.default {"self": "x"}
aten.relu6.default {"self": "x"}
aten.relu_.default {"self": "x"}
aten.remainder.Scalar {"self": "n", "other": 4}
aten.remainder.Tensor {"self": "n", "other": "x"}
aten.repeat.default {"self": "r", "repeats": [2, 2]}
aten.repeat_interleave.self_int {"self": "x", "repeats": 2, "dim": 0}
aten.replication_pad1d.default {"self": "s", "padding": [1, 0]}
aten.replication_pad2d.default {"self": "s", "padding": [1, 0, 0, 1]}
aten.replication_pad3d.default {"self": "c", "padding": [1, 0, 0, 0, 0, 1]}
aten.reshape.default {"self": "x", "shape": [6]}
aten.reshape_as.default {"self": "x", "other": "m"}
aten.resolve_conj.default {"self": "x"}
aten.resolve_neg.default {"self": "x"}
aten.rms_norm.default {"input": "x", "normalized_shape": [3], "weight": "r"}
aten.roll.default {"self": "x", "shifts": [-2]}
aten.roll.default {"self": "x", "shifts": [1], "dims": [1]}
aten.round.default {"self": "x"}
aten.rrelu.default {"self": "x", "lower": 0.1, "upper": 0.3}
aten.rsqrt.default {"self": "q"}
aten.rsub.Scalar {"self": "x", "other": 1, "alpha": 2}
aten.rsub.Tensor {"self": "x", "other": "r"}
aten.scalar_tensor.default {"s": 2}
aten.scaled_dot_product_attention.default {"query": "s", "key": "s", "value": "s", "attn_mask": "z", "scale": 0.3}
aten.scaled_dot_product_attention.default {"query": "s", "key": "s", "value": "s", "is_causal": true}
aten.scatter.src {"self": "x", "dim": 0, "index": "h", "src": "m"}
aten.scatter.value {"self": "x", "dim": 1, "index": "j", "value": 9.0}
aten.scatter_add.default {"self": "x", "dim": 1, "index": "j", "src": "x"}
aten.select.int {"self": "x", "dim": 1, "index": -1}
aten.select_copy.int {"self": "x", "dim": 0, "index": 1}
aten.select_scatter.default {"self": "x", "src": "r", "dim": 0, "index": 1}
aten.selu.default {"self": "x"}
aten.sgn.default {"self": "x"}
aten.sigmoid.default {"self": "x"}
aten.sign.default {"self": "x"}
aten.silu.default {"self": "x"}
aten.sin.default {"self": "n"}
aten.sinh.default {"self": "x"}
aten.slice.Tensor {"self": "s", "dim": 2, "start": 0, "end": 4, "step": 3}
aten.slice.Tensor {"self": "x", "dim": 1, "start": -2, "end": 9223372036854775807}
aten.slice_copy.Tensor {"self": "x", "dim": 1, "start": 1}
aten.slice_scatter.default {"self": "x", "src": "e", "dim": 1, "start": 1}
aten.softmax.int {"self": "x", "dim": -1}
aten.softplus.default {"self": "x", "beta": 2, "threshold": 3}
aten.softshrink.default {"self": "x", "lambd": 0.4}
aten.sort.default {"self": "n", "dim": 1, "descending": true}
aten.sort.stable {"self": "x", "stable": true, "dim": 1, "descending": true} #1
aten.split.Tensor {"self": "x", "split_size": 2, "dim": 1} #1
aten.split.sizes {"self": "x", "split_size": [1, 2], "dim": 1} #1
aten.split_copy.Tensor {"self": "x", "split_size": 1} #1
aten.split_with_sizes.default {"self": "x", "split_sizes": [1, 2], "dim": 1} #1
aten.split_with_sizes_copy.default {"self": "x", "split_sizes": [2, 1], "dim": 1}
aten.sqrt.default {"self": "q"}
aten.square.default {"self": "x"}
aten.squeeze.default {"self": "s"}
aten.squeeze.dim {"self": "s", "dim": 0}
aten.squeeze.dims {"self": "s", "dim": [0, 1]}
aten.stack.default {"tensors": ["r", "r"], "dim": -1}
aten.std.correction {"self": "x", "dim": [1]}
aten.std.default {"self": "x"}
aten.std.dim {"self": "x", "dim": [0], "unbiased": false}
aten.std_mean.correction {"self": "x", "dim": [0], "correction": 1}
aten.std_mean.default {"self": "x"} #1
aten.std_mean.dim {"self": "x", "dim": [1], "unbiased": false}
aten.sub.Scalar {"self": "x", "other": 2}
aten.sub.Tensor {"self": "x", "other": "r", "alpha": 2}
aten.subtract.Scalar {"self": "x", "other": 2}
aten.subtract.Tensor {"self": "x", "other": "r"}
aten.sum.default {"self": "t"}
aten.sum.dim_IntList {"self": "x", "dim": [1]}
aten.swapaxes.default {"self": "s", "axis0": 0, "axis1": -1}
aten.swapdims.default {"self": "s", "dim0": 0, "dim1": 1}
aten.t.default {"self": "x"}
aten.tan.default {"self": "x"}
aten.tanh.default {"self": "x"}
aten.threshold.default {"self": "x", "threshold": 0.6, "value": -9}
aten.to.dtype {"self": "x", "dtype": {"as_scalar_type": 5}}
aten.to.dtype_layout {"self": "x", "dtype": {"as_scalar_type": 5}}
aten.to.other {"self": "x", "other": "n"}
aten.topk.default {"self": "x", "k": 2, "dim": 1}
aten.topk.default {"self": "x", "k": 2, "dim": 1} #1
aten.transpose.int {"self": "x", "dim0": 0, "dim1": -1}
aten.tril.default {"self": "x"}
aten.triu.default {"self": "x", "diagonal": 1}
aten.true_divide.Scalar {"self": "n", "other": 4}
aten.true_divide.Tensor {"self": "n", "other": "n"}
aten.trunc.default {"self": "x"}
aten.type_as.default {"self": "n", "other": "x"}
aten.unbind.int {"self": "x"} #1
aten.unbind_copy.int {"self": "x", "dim": 1} #2
aten.unflatten.int {"self": "x", "dim": 1, "sizes": [-1, 1]}
aten.unsafe_chunk.default {"self": "x", "chunks": 2, "dim": 1} #1
aten.unsafe_split.Tensor {"self": "x", "split_size": 2, "dim": 1} #1
aten.unsafe_split_with_sizes.default {"self": "x", "split_sizes": [1, 2], "dim": 1} #1
aten.unsqueeze.default {"self": "x", "dim": -1}
aten.upsample_bicubic2d.default {"self": "v", "output_size": [3, 5], "align_corners": false}
aten.upsample_bicubic2d.vec {"input": "v", "output_size": [3, 3], "align_corners": true, "scale_factors": null}
aten.upsample_bilinear2d.default {"self": "v", "output_size": [3, 5], "align_corners": true}
aten.upsample_bilinear2d.vec {"input": "v", "output_size": [3, 5], "align_corners": false, "scale_factors": null}
aten.upsample_bilinear2d.vec {"input": "v", "output_size": null, "align_corners": false, "scale_factors": [0.8, 0.8]}
aten.upsample_linear1d.default {"self": "s", "output_size": [3], "align_corners": true}
aten.upsample_linear1d.vec {"input": "s", "output_size": [7], "align_corners": false, "scale_factors": null}
aten.upsample_nearest1d.default {"self": "s", "output_size": [7]}
aten.upsample_nearest1d.vec {"input": "s", "output_size": null, "scale_factors": [1.5]}
aten.upsample_nearest2d.default {"self": "v", "output_size": [3, 5]}
aten.upsample_nearest2d.vec {"input": "v", "output_size": [2, 6], "scale_factors": null}
aten.upsample_nearest3d.default {"self": "c", "output_size": [2, 3, 4]}
aten.upsample_nearest3d.vec {"input": "c", "output_size": [1, 3, 4], "scale_factors": null}
aten.upsample_trilinear3d.default {"self": "c", "output_size": [2, 3, 4], "align_corners": true}
aten.upsample_trilinear3d.vec {"input": "c", "output_size": [3, 3, 3], "align_corners": false, "scale_factors": null}
aten.var.correction {"self": "x", "dim": [1], "correction": 0}
aten.var.default {"self": "x", "unbiased": false}
aten.var.dim {"self": "x", "dim": [1]}
aten.var_mean.correction {"self": "x", "dim": [1], "correction": 0, "keepdim": true} #1
aten.var_mean.default {"self": "x"}
aten.var_mean.dim {"self": "x", "dim": [1]}
aten.view.default {"self": "x", "size": [3, -1]}
aten.view_as.default {"self": "x", "other": "m"}
aten.view_copy.default {"self": "x", "size": [6]}
aten.vstack.default {"tensors": ["r", "x"]}
aten.where.Scalar {"condition": "t", "self": 1, "other": 2.5}
aten.where.ScalarOther {"condition": "t", "self": "x", "other": 0.0}
aten.where.ScalarSelf {"condition": "t", "self": 3, "other": "n"}
aten.where.self {"condition": "t", "self": "x", "other": "r"}
aten.zero.default {"self": "n"}
aten.zeros.default {"size": [2]}
aten.zeros_like.default {"self": "x", "dtype": {"as_scalar_type": 5}}
"""


def value_of(value):
    if isinstance(value, dict):
        return TYPES[value["as_scalar_type"]]
    if isinstance(value, str):
        return value[1:] if value.startswith("'") else OPERANDS[value].clone()
    if isinstance(value, list) and any(isinstance(entry, str) for entry in value):
        return [None if entry is None else OPERANDS[entry] for entry in value]
    return value


def compute(line):
    name, _, rest = line.partition(" ")
    text, _, number = rest.partition(" #")
    arguments = json.loads(text)
    space, op, overload = name.split(".")
    function = getattr(getattr(getattr(torch.ops, space), op), overload)
    results = function(**{key: value_of(value) for key, value in arguments.items()})
    if not isinstance(results, (list, tuple)):
        results = [results]
    index = int(number or 0)
    values = [float(f"{value:.7g}") for value in results[index].flatten().tolist()]
    return {"op": name, "arguments": arguments, "results": len(results), "result": index,
            "dtype": NUMBERS[results[index].dtype], "shape": list(results[index].shape),
            "values": values}


def main():
    torch.manual_seed(0)
    rows = [{"operand": name, "dtype": NUMBERS[value.dtype], "shape": list(value.shape),
             "values": [float(entry) for entry in value.flatten().tolist()]}
            for name, value in sorted(OPERANDS.items())]
    rows += [compute(line) for line in CASES.splitlines() if line]
    path = pathlib.Path(__file__).with_suffix(".jsonl")
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


if __name__ == "__main__":
    main()
