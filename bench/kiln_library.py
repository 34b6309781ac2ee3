#!/usr/bin/env python3
"""Trains with a library that Kiln has emitted, through its C ABI (runtime/abi/kiln.h) alone.

    kiln_library.py LIBRARY INPUTS.npz OUTPUT.npy STEPS RATE

calls train_step STEPS times on the one batch that INPUTS.npz holds and writes the losses. A worker of
bench/compare; tests import it for `TrainStep`. Everything runs on the calling thread.
"""

import ctypes
import pathlib
import sys

import numpy

ABI_VERSION = 1
PARAMETERS_ALIGNMENT = 64
DTYPES = ("?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", None, "f4", "f8")  # kiln_dtype

Pointer, Text, i32, i64, u64 = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int32, ctypes.c_int64,
                                ctypes.c_uint64)


class TensorInfo(ctypes.Structure):
    _fields_ = [("name", Text), ("dtype", i32), ("rank", i32), ("shape", ctypes.POINTER(i64)),
                ("bytes", u64)]

    def array(self, buffer=None):
        """Zeros of this tensor's type and shape, or a view of them into a buffer of bytes."""
        shape, dtype = self.shape[:self.rank], DTYPES[self.dtype]
        return numpy.zeros(shape, dtype) if buffer is None else buffer.view(dtype).reshape(shape)


class Call(ctypes.Structure):
    _fields_ = [("inputs", ctypes.POINTER(Pointer)), ("outputs", ctypes.POINTER(Pointer)),
                ("parameters", Pointer), ("workspace", Pointer), ("executor", Pointer)]


class FunctionInfo(ctypes.Structure):
    _fields_ = [("name", Text), ("num_inputs", i32), ("inputs", ctypes.POINTER(TensorInfo)),
                ("num_outputs", i32), ("outputs", ctypes.POINTER(TensorInfo)),
                ("workspace_bytes", u64), ("workspace_alignment", u64),
                ("run", ctypes.CFUNCTYPE(i32, ctypes.POINTER(Call))), ("num_steps", i32),
                ("steps", Pointer)]


class LibraryInfo(ctypes.Structure):
    _fields_ = [("abi_version", ctypes.c_uint32), ("producer", Text), ("model", Text),
                ("num_functions", i32), ("functions", ctypes.POINTER(FunctionInfo)),
                ("num_parameters", i32), ("parameters", ctypes.POINTER(TensorInfo)),
                ("parameter_offsets", ctypes.POINTER(u64)), ("parameters_bytes", u64),
                ("parameters_data", Pointer)]


def aligned(count, alignment):
    """`count` zero bytes whose first lies on a multiple of `alignment`."""
    block = numpy.zeros(count + alignment, "u1")
    start = -block.ctypes.data % alignment
    return block[start:start + count]


class TrainStep:
    """The library's train_step, with a parameter block of its own that the steps update."""

    def __init__(self, path):
        self.library = ctypes.CDLL(str(pathlib.Path(path).resolve()))
        entry = self.library.kiln_library
        entry.restype = ctypes.POINTER(LibraryInfo)
        self.info = entry().contents
        if self.info.abi_version != ABI_VERSION:
            raise ValueError(f"{path}: ABI version {self.info.abi_version}, not {ABI_VERSION}")
        functions = {f.name: f for f in self.info.functions[:self.info.num_functions]}
        self.function = functions[b"train_step"]
        self.parameters = aligned(self.info.parameters_bytes, PARAMETERS_ALIGNMENT)
        ctypes.memmove(self.parameters.ctypes.data, self.info.parameters_data,
                       self.info.parameters_bytes)
        self.workspace = aligned(self.function.workspace_bytes, self.function.workspace_alignment)
        self.inputs = {info.name.decode(): info.array()
                       for info in self.function.inputs[:self.function.num_inputs]}
        self.outputs = {info.name.decode(): info.array()
                        for info in self.function.outputs[:self.function.num_outputs]}

    def step(self, **inputs):
        """The loss of one step. Values for inputs that this train_step does not ask for are left out."""
        for name, value in self.inputs.items():
            value[...] = inputs[name]
        pointers = [(Pointer * len(tensors))(*(t.ctypes.data for t in tensors.values()))
                    for tensors in (self.inputs, self.outputs)]
        call = Call(*pointers, self.parameters.ctypes.data, self.workspace.ctypes.data, None)
        status = self.function.run(ctypes.byref(call))
        if status != 0:
            raise RuntimeError(f"train_step returned {status}")
        return float(self.outputs["loss"])

    def parameter(self, name):
        """A view of the parameter called `name`."""
        for index, info in enumerate(self.info.parameters[:self.info.num_parameters]):
            if info.name.decode() == name:
                start = self.info.parameter_offsets[index]
                return info.array(self.parameters[start:start + info.bytes])
        raise KeyError(name)


def main():
    library, inputs, output, steps, rate = sys.argv[1:]
    train = TrainStep(library)
    batch = numpy.load(inputs)
    numpy.save(output, [train.step(**batch, learning_rate=float(rate), step=step, seed=0)
                        for step in range(int(steps))])


if __name__ == "__main__":
    main()
