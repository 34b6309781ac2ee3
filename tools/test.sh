#!/usr/bin/env bash
# Builds the tree with warnings as errors and runs the whole test suite; on a bare Debian 12 it first
# installs the packages that are missing.
#   test.sh [--asan | --tsan] [--long] [--fuzz SECONDS] [CTEST-ARGUMENT...]
# --asan          under AddressSanitizer and UndefinedBehaviorSanitizer
# --tsan          under ThreadSanitizer
# --long          the tests' long mode (KILN_LONG_TESTS=1): many more random graphs
# --fuzz SECONDS  first runs each libFuzzer harness for that long, built with clang
# Anything else goes to ctest, e.g. `-R ir.` for the tests of ir/ alone.
set -euo pipefail
cd "$(dirname "$0")/.."

preset=ci
fuzz_seconds=0
while [ $# -gt 0 ]; do
  case $1 in
    --asan) preset=asan ;;
    --tsan) preset=tsan ;;
    --long) export KILN_LONG_TESTS=1 ;;
    --fuzz)
      [[ "${2-}" =~ ^[1-9][0-9]*$ ]] || { echo "test.sh: --fuzz needs a number of seconds" >&2; exit 2; }
      fuzz_seconds=$2
      shift
      ;;
    --help) sed -n '2,/^set/{/^# /s/^# //p}' "$0"; exit 0 ;;
    *) break ;;
  esac
  shift
done

build() {  # build PRESET TARGET...
  local launcher=()
  if command -v ccache >/dev/null; then
    launcher=(-DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
  fi
  cmake --preset "$1" "${launcher[@]}"
  cmake --build --preset "$1" --parallel "$(nproc)" --target "${@:2}"
}

fuzz() {  # every harness, from its seeds; what it finds stays in build/fuzz
  tools/dev/install-packages.sh build test fuzz
  build fuzz fuzzers
  local harness name
  for harness in build/fuzz/tests/*_fuzz; do
    name=$(basename "$harness")
    mkdir -p "build/fuzz/corpus/$name"
    local folders=("build/fuzz/corpus/$name")
    [ ! -d "tests/fuzz/seeds/$name" ] || folders+=("tests/fuzz/seeds/$name")
    echo "Fuzzing with $name for $fuzz_seconds s"
    "$harness" -max_total_time="$fuzz_seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
      -artifact_prefix="build/fuzz/$name-" "${folders[@]}"
  done
}

[ "$fuzz_seconds" -eq 0 ] || fuzz
tools/dev/install-packages.sh build test
build "$preset" all
export UBSAN_OPTIONS=${UBSAN_OPTIONS-print_stacktrace=1}
# LLVM gives threads a signal stack of its own, which AddressSanitizer would unmap as if it were its.
export ASAN_OPTIONS=${ASAN_OPTIONS-use_sigaltstack=0}
ctest --test-dir "build/$preset" --output-on-failure --no-tests=error -j "$(nproc)" "$@"
