"""What the tests of the command share: calling `kiln`, and small ONNX models made field by field.

The path of the command is in the environment variable KILN.
"""

import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import unittest
from array import array

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "tools" / "dev")]
import onnx_net
import tensors
from onnx_net import Message, attribute, tensor, value_info, varint

KILN = os.environ["KILN"]


class CommandTest(unittest.TestCase):
    """Runs `kiln` in a folder of its own, with a cache of its own."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.environment = dict(os.environ, XDG_CACHE_HOME=str(cls.folder / "cache"))

    def call(self, *arguments, **how):
        how = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "cwd": self.folder,
               "env": self.environment, "timeout": 300, "text": True, **how}
        return subprocess.run([KILN, *map(str, arguments)], **how)

    def kiln(self, *arguments):
        """The output of a call that must succeed."""
        done = self.call(*arguments)
        self.assertEqual(done.returncode, 0, f"{arguments}: {done.stderr}")
        return done.stdout

    def fails(self, *arguments, status=1, lines=1, **how):
        """The error lines of a call that must fail cleanly with so many of them."""
        done = self.call(*arguments, **how)
        self.assertEqual(done.returncode, status, f"{arguments}: {done.stdout}{done.stderr}")
        errors = [line for line in done.stderr.splitlines() if line.startswith("kiln: error: ")]
        others = [line for line in done.stderr.splitlines() if not line.startswith("kiln: ")]
        self.assertEqual(others, [], f"{arguments}: more than errors and progress")
        if lines is not None:
            self.assertEqual(len(errors), lines, f"{arguments}: {done.stderr}")
        return "\n".join(errors)

    def write(self, name, data):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def generate(self, net, *arguments):
        """A net of bench/models.py, written once for each set of arguments."""
        path = self.folder / f"{net}{''.join(arguments)}.onnx"
        if not path.exists():
            subprocess.run([sys.executable, ROOT / "bench" / "models.py", net, "-o", path,
                            *arguments], check=True)
        return path

    def random_input(self, *shape):
        path = self.folder / f"input-{'x'.join(map(str, shape))}.npy"
        tensors.write_random(str(path), *shape)
        return path

    def assert_close(self, expected_path, path, tolerance=1e-4):
        expected, found = (tensors.read(str(file)) for file in (expected_path, path))
        self.assertEqual(len(expected), len(found))
        scale = max(map(abs, expected))
        self.assertTrue(all(abs(a - b) <= tolerance * scale for a, b in zip(expected, found)),
                        f"{expected_path} and {path} differ")


def build_c(folder, name, source, *libraries, compiler="cc"):
    """A C99 program, compiled with warnings as errors; its path."""
    program = folder / name
    subprocess.run([compiler, "-std=c99", "-Wall", "-Wextra", "-Werror", "-O1", "-I", ROOT, "-I",
                    folder, source, *libraries, "-o", program], check=True, cwd=folder)
    return program


def npy(shape, values, dtype="<f4", code="f"):
    """The bytes of a .npy file as NumPy writes it."""
    header = f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {tuple(shape)}, }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return (b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header +
            array(code, values).tobytes())


def floats(name, shape, values):
    return tensor(name, shape, [onnx_net.little_endian(array("f", values))])


def ints(name, values):
    """An initializer of i64, of rank 1."""
    message = Message().integer(1, len(values)).integer(2, 7).string(8, name)
    return message.data(9, struct.pack(f"<{len(values)}q", *values))


def node(op_type, inputs, outputs, name=None, **attributes):
    message = Message()
    for operand in inputs:
        message.string(1, operand)
    for result in outputs:
        message.string(2, result)
    message.string(3, name or outputs[0]).string(4, op_type)
    for key, value in attributes.items():
        message.message(5, attribute(key, value))
    return message


def model(nodes, inputs=(("x", (1, 4)),), outputs=(("y", (1, 4)),), initializers=(), opset=13):
    """The bytes of an ONNX model of float tensors."""
    graph = Message()
    for item in nodes:
        graph.message(1, item)
    graph.string(2, "test")
    for item in initializers:
        graph.message(5, item)
    for name, shape in inputs:
        graph.message(11, value_info(name, shape))
    for name, shape in outputs:
        graph.message(12, value_info(name, shape))
    versions = Message().string(1, "").integer(2, opset)
    whole = Message().integer(1, 7).string(2, "kiln-tests").message(7, graph).message(8, versions)
    return b"".join(whole.chunks)
