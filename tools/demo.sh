#!/usr/bin/env bash
# From a bare Debian 12 to a neural network running as native code, and what happens in between:
# installs what is missing, builds Kiln, makes a small ResNet with BatchNormalization, shows its IR before
# and after a fusion, runs it just in time, compiles it to a shared library and runs that from C; then
# trains LeNet, and classifies pictures from C with what it has learned. The last line says whether all
# answers are the same. What it makes lies in build/demo.
set -euo pipefail
cd "$(dirname "$0")/.."
demo=build/demo
kiln=build/release/tools/kiln

step() { printf '\n== %s\n' "$*"; }
run() { printf '$ %s\n' "$*" >&2; "$@"; }  # the command's line is not its output
run_excerpt() {  # run_excerpt LINES PATTERN COMMAND...: of a long output the first lines that match, cut short
  local lines=$1 pattern=$2
  shift 2
  run "$@" | awk -v lines="$lines" -v pattern="$pattern" '
    $0 ~ pattern && ++shown <= lines { print (length($0) > 140 ? substr($0, 1, 137) "..." : $0) }
    END { printf "  ... of %d lines\n", NR }'
}

step 'Installing and building'
tools/dev/install-packages.sh build
tools/dev/install-packages.sh demo || echo 'Without these packages two steps are left out.'
launcher=()
if command -v ccache >/dev/null; then
  launcher=(-DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
fi
cmake --preset release -DKILN_TESTS=OFF "${launcher[@]}" >/dev/null
cmake --build --preset release --parallel "$(nproc)" --target kiln
run $kiln --version
mkdir -p $demo

step 'A model: ResNet-18, narrow, with BatchNormalization as PyTorch exports it; and an input'
run bench/models.py resnet18 -o $demo/net.onnx --size 64 --width 0.25 --classes 10
run python3 tools/dev/tensors.py random $demo/input.npy 1 3 64 64

step 'The graph as imported'
run_excerpt 14 'func @|^    %' $kiln dump $demo/net.onnx --stage import

step 'The graph before and after the fusion of convolutions with what follows them'
run_excerpt 20 '^[-+]' $kiln dump $demo/net.onnx --print-after fuse-conv-relu --diff

step 'Which rewrites fired, which were refused, and why'
run_excerpt 8 fuse-conv-relu $kiln dump $demo/net.onnx --remarks

step 'Run just in time'
run $kiln run $demo/net.onnx --input input=$demo/input.npy --output-dir $demo/jit

step 'Compiled to a shared library, which depends on nothing but libc and libm'
run $kiln compile $demo/net.onnx -o $demo/libnet.so --header $demo/net.h
run ldd $demo/libnet.so
run $kiln run $demo/libnet.so --input input=$demo/input.npy --output-dir $demo/library

step 'The library called from C'
run cc -std=c99 -Wall -Werror -I. examples/run_library.c -ldl -o $demo/run_library
run python3 tools/dev/tensors.py raw $demo/input.npy $demo/input.bin
run $demo/run_library $demo/libnet.so $demo/input.bin | tee $demo/output.txt

cases=/usr/share/libonnx-testdata/data/pytorch-converted
if [ -d $cases ]; then
  step "Models that PyTorch exported, with PyTorch's answers (Debian's libonnx-testdata)"
  run $kiln check $cases/test_Conv2d_depthwise_padded $cases/test_BatchNorm2d_eval $cases/test_Linear
fi

data=/usr/share/datasets/fashion-mnist
if [ -d $data ]; then
  step "LeNet learns Fashion-MNIST (Debian's dataset-fashion-mnist) for an epoch"
  rm -rf $demo/lenet
  run $kiln train examples/training/lenet.prototxt --data idx:$data --epochs 1 --lr 0.02 \
    --snapshot-dir $demo/lenet
  echo "its curves: $demo/lenet/curve.svg, and with all else: $demo/lenet/report.html"

  step 'The trained model as a library, and pictures that it has not seen, classified from C'
  run $kiln compile $demo/lenet/model.onnx --batch 1 -o $demo/liblenet.so
  for number in 0 1 2 3 4 5; do
    label=$(examples/training/test_picture.py $data $number $demo/picture.bin)
    echo "picture $number, of class $label: $($demo/run_library $demo/liblenet.so $demo/picture.bin |
      tail -n 1)"
  done
fi

step 'Are the answers the same?'
run python3 tools/dev/tensors.py compare $demo/jit/output.npy $demo/library/output.npy $demo/output.txt
