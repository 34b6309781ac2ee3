"""The virtual environment in which bench/compare and tests find ONNX Runtime, OpenVINO and PyTorch."""

import os
import pathlib
import subprocess
import sys

CACHE = (pathlib.Path(os.environ["XDG_CACHE_HOME"], "kiln-bench")
         if os.environ.get("XDG_CACHE_HOME")
         else pathlib.Path(__file__).resolve().parents[1] / "build" / "bench")
# The index that pip is set up for may have a build without CUDA; PyPI's own has it in.
REQUIREMENTS = (("onnxruntime", "openvino", "numpy", "onnx"), ("torch==2.13.0+cpu", "torch"))
ENVIRONMENT = CACHE / "venv"
READY = ENVIRONMENT / "ready"  # there once everything has been installed


def enter():
    """Goes on with this program in the environment's Python; makes the environment the first time."""
    if pathlib.Path(sys.prefix).resolve() == ENVIRONMENT.resolve():
        return
    python = ENVIRONMENT / "bin" / "python"
    if not READY.exists():
        print(f"Installing the peers into {ENVIRONMENT}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", ENVIRONMENT], check=True)
        pip = [python, "-m", "pip", "install", "-qq"]
        subprocess.run([*pip, *REQUIREMENTS[0]], check=True)
        if all(subprocess.run([*pip, choice]).returncode for choice in REQUIREMENTS[1]):
            sys.exit(f"{pathlib.Path(sys.argv[0]).name}: PyTorch cannot be installed")
        READY.touch()
    os.execv(python, [python, *sys.argv])
