#!/usr/bin/env python3
"""Writes a picture of an MNIST-like test set as raw floats from 0 to 1, and prints its label:
test_picture.py FOLDER NUMBER OUT.bin"""

import array
import gzip
import pathlib
import sys


def read(folder, name):
    plain = pathlib.Path(folder) / name
    return plain.read_bytes() if plain.exists() else gzip.open(f"{plain}.gz").read()


def main(folder, number, out):
    images, labels = read(folder, "t10k-images-idx3-ubyte"), read(folder, "t10k-labels-idx1-ubyte")
    size = int.from_bytes(images[8:12], "big") * int.from_bytes(images[12:16], "big")
    start = 16 + int(number) * size
    values = array.array("f", (pixel / 255 for pixel in images[start:start + size]))
    pathlib.Path(out).write_bytes(values.tobytes())
    print(labels[8 + int(number)])


if __name__ == "__main__":
    main(*sys.argv[1:])
