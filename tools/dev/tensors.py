#!/usr/bin/env python3
"""Small jobs on float32 tensors without numpy: in .npy files, raw .bin files, or in the first line of a
.txt file that reads "NAME: NUMBER NUMBER ...".

    tensors.py random FILE.npy EXTENT...       writes numbers from N(0, 1), always the same
    tensors.py raw FILE.npy FILE.bin           writes the elements alone, as a C program reads them
    tensors.py compare EXPECTED FILE...        says how far each file's elements are from EXPECTED's
"""

import math
import pathlib
import random
import struct
import sys
from array import array

TOLERANCE = 1e-4  # of the largest element


def floats(data):
    values = array("f", data)
    if sys.byteorder == "big":
        values.byteswap()
    return values


def read(path):
    """The elements of a C-ordered float32 .npy file, of a raw file, or of a line of text."""
    if path.endswith(".txt"):
        numbers = pathlib.Path(path).read_text().partition("\n")[0].partition(":")[2]
        return array("f", map(float, numbers.split()))
    data = pathlib.Path(path).read_bytes()
    if not data.startswith(b"\x93NUMPY"):
        return floats(data)
    wide = data[6] >= 2  # the header's length takes 4 bytes from version 2 on
    start = 12 if wide else 10
    length, = struct.unpack("<I" if wide else "<H", data[8:start])
    header = data[start:start + length]
    if b"'<f4'" not in header or b"'fortran_order': False" not in header:
        sys.exit(f"tensors.py: {path}: not a C-ordered float32 array")
    return floats(data[start + length:])


def write_random(path, *extents):
    shape = tuple(map(int, extents))
    generator = random.Random(1)
    values = floats(array("f", (generator.gauss(0, 1) for _ in range(math.prod(shape)))))
    header = repr({"descr": "<f4", "fortran_order": False, "shape": shape}).encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    pathlib.Path(path).write_bytes(
        b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + values.tobytes())


def write_raw(source, target):
    pathlib.Path(target).write_bytes(floats(read(source)).tobytes())


def compare(expected_path, *paths):
    expected = read(expected_path)
    scale = max(map(abs, expected))
    print(f"{expected_path}: {len(expected)} elements, the largest {scale:.6g}")
    agree = True
    for path in paths:
        values = read(path)
        if len(values) != len(expected):
            sys.exit(f"DIFFERENT: {path} has {len(values)} elements, not {len(expected)}")
        differences = [abs(a - b) for a, b in zip(values, expected)]
        agree = agree and all(d <= TOLERANCE * scale for d in differences)  # false for a NaN, too
        print(f"{path}: " + ("equal bit for bit" if values == expected else
                             f"largest difference {max(differences):.3g}"))
    print("SAME ANSWER" if agree else "DIFFERENT ANSWERS")
    sys.exit(not agree)


COMMANDS = {"random": write_random, "raw": write_raw, "compare": compare}

if __name__ == "__main__":
    if len(sys.argv) < 4 or sys.argv[1] not in COMMANDS:
        sys.exit(__doc__.strip())
    COMMANDS[sys.argv[1]](*sys.argv[2:])
