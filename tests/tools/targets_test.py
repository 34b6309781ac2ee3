#!/usr/bin/env python3
"""One model compiled for every kind of CPU: each library gives the host's answer.

x86-64 levels run here as far as this machine has them; AArch64 (NEON) runs under qemu-user with a C
program made by the cross compiler. targets_test.py KILN SOURCE_DIR
"""
import os
import shutil
import subprocess
import sys
import tempfile

KILN, SOURCE = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
X86_FLAGS = {"x86-64-v2": "sse4_2", "x86-64-v3": "avx2", "x86-64-v4": "avx512vl"}


def run(*command, **options):
    result = subprocess.run(command, capture_output=True, text=True, **options)
    if result.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit {result.returncode}\n{result.stdout}{result.stderr}")
    return result.stdout


def numbers(text):
    return [float(word) for word in text.split("\n")[0].split(":")[1].split()]


def check(name, expected, actual):
    pairs = list(zip(numbers(expected), numbers(actual)))
    worst = max(abs(a - b) / max(1e-3, abs(a)) for a, b in pairs)
    if len(pairs) < 10 or worst > 1e-3:
        sys.exit(f"{name}: answers differ by {worst}:\n{expected}\n{actual}")
    print(f"{name}: same answer, largest relative difference {worst:.1e}")


def main():
    with tempfile.TemporaryDirectory() as folder:
        path = lambda name: os.path.join(folder, name)
        run(sys.executable, f"{SOURCE}/bench/models.py", "mobilenet_v2", "-o", path("net.onnx"),
            "--size", "32", "--width", "0.25", "--classes", "10")
        run("cc", "-std=c99", "-I", SOURCE, f"{SOURCE}/examples/run_library.c", "-ldl", "-o",
            path("native"))
        run(KILN, "compile", path("net.onnx"), "-o", path("libhost.so"))
        expected = run(path("native"), path("libhost.so"))
        with open("/proc/cpuinfo", encoding="ascii") as file:
            flags = set(file.read().split())
        for cpu, flag in X86_FLAGS.items():
            library = path(f"lib{cpu}.so")
            run(KILN, "compile", path("net.onnx"), "-o", library, "--target",
                "x86_64-pc-linux-gnu", "--cpu", cpu)
            if flag in flags:
                check(cpu, expected, run(path("native"), library))
            else:
                print(f"{cpu}: compiled; this machine cannot run it")
        library = path("libarm.so")
        run(KILN, "compile", path("net.onnx"), "-o", library, "--target", "aarch64-linux-gnu")
        if not shutil.which("aarch64-linux-gnu-gcc") or not shutil.which("qemu-aarch64"):
            print("aarch64: compiled; skipped running it: no cross compiler or no qemu-user")
            return
        run("aarch64-linux-gnu-gcc", "-std=c99", "-I", SOURCE, f"{SOURCE}/examples/run_library.c",
            "-ldl", "-o", path("arm"))
        check("aarch64", expected,
              run("qemu-aarch64", "-L", "/usr/aarch64-linux-gnu", path("arm"), library))


main()
