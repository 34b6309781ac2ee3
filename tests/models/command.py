"""What the tests of whole models share: .npy files without numpy, and the command `kiln`."""

import ast
import pathlib
import struct
import subprocess
import sys
import tempfile
import unittest
from array import array

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))
from onnx_net import little_endian


def read_npy(data):
    """(shape, values as an array) of a C-ordered .npy file's bytes."""
    wide = data[6] >= 2  # the header's length takes 4 bytes from version 2 on
    start = 12 if wide else 10
    length, = struct.unpack("<I" if wide else "<H", data[8:start])
    header = ast.literal_eval(data[start:start + length].decode())
    assert not header["fortran_order"]
    values = array({"<f4": "f", "<i4": "i"}[header["descr"]], data[start + length:])
    if sys.byteorder == "big":
        values.byteswap()
    return header["shape"], values


def write_npy(path, shape, floats):
    header = repr({"descr": "<f4", "fortran_order": False, "shape": tuple(shape)}).encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header +
                     little_endian(floats))


class ModelTest(unittest.TestCase):
    KILN = ""  # path of the command

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def kiln(self, *arguments):
        """Exit status and standard output; complaints go to this test's stderr."""
        done = subprocess.run([self.KILN, *map(str, arguments), "--quiet"], stdout=subprocess.PIPE,
                              text=True)
        return done.returncode, done.stdout

    def run_model(self, model, name, shape, floats, *options):
        """The elements of the model's only output for its input `name`."""
        write_npy(self.folder / "x.npy", shape, floats)
        outputs = self.folder / "outputs"
        status, _ = self.kiln("run", model, "--input", f"{name}={self.folder / 'x.npy'}",
                              "--output-dir", outputs, *options)
        self.assertEqual(status, 0)
        output, = outputs.glob("*.npy")
        return read_npy(output.read_bytes())
