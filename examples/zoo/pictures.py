#!/usr/bin/env python3
"""Writes a data set to learn from in FILE.npz: pictures of stripes, whose direction is the class.

    pictures.py FILE.npz [--size 32] [--count 1000] [--classes 10] [--channels 3] [--seed 1]

Wave length, phase and the two colours are drawn at random, and noise lies over all. It is what the first
layer of AlexNet learned to tell apart (Krizhevsky et al. 2012, figure 3), and Hubel and Wiesel's cells in
the cat's visual cortex before.
"""

import argparse
import math
import random
import struct
import zipfile


def npy(kind, shape, data):
    header = repr({"descr": kind, "fortran_order": False, "shape": shape}).encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


def stripes(generator, size, angle, channels):
    """channels x size x size pixels."""
    frequency = 2 * math.pi / generator.uniform(4, 8)  # per pixel
    dx, dy = frequency * math.cos(angle), frequency * math.sin(angle)
    phase = generator.uniform(0, 2 * math.pi)
    colours = [(generator.randrange(0, 100), generator.randrange(130, 230)) for _ in range(channels)]
    noise = [generator.randrange(0, 25) for _ in range(1021)]  # a prime: rows do not repeat
    mix = [0.5 + 0.5 * math.sin(phase + x * dx + y * dy) for y in range(size) for x in range(size)]
    return bytes(int(dark + (light - dark) * share) + noise[(i + channel) % 1021]
                 for channel, (dark, light) in enumerate(colours) for i, share in enumerate(mix))


def write(path, size=32, count=1000, classes=10, channels=3, seed=1):
    generator = random.Random(seed)
    labels = [number % classes for number in range(count)]
    pixels = b"".join(stripes(generator, size, math.pi * label / classes, channels)
                      for label in labels)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", npy("|u1", (count, channels, size, size), pixels))
        archive.writestr("y.npy", npy("|u1", (count,), bytes(labels)))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", metavar="FILE.npz")
    for name, default in (("size", 32), ("count", 1000), ("classes", 10), ("channels", 3),
                          ("seed", 1)):
        parser.add_argument(f"--{name}", type=int, default=default, metavar="N")
    options = vars(parser.parse_args())
    write(options.pop("file"), **options)


if __name__ == "__main__":
    main()
