#!/usr/bin/env bash
# lint.sh must refuse each kind of breach, by file and line, and pass a clean tree.
set -euo pipefail
lint=$(cd "$(dirname "$0")/../../.." && pwd)/tools/dev/lint.sh
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
failures=0

expect() {  # expect NAME STATUS TEXT: lint's status and a part of what it prints
  local status=0 output
  output=$("$lint" "$tree" 2>&1) || status=$?
  if [ "$status" -ne "$2" ] || [[ "$output" != *"$3"* ]]; then
    printf '%s: status %s, wanted %s with "%s"; it printed:\n%s\n' "$1" "$status" "$2" "$3" "$output"
    failures=$((failures + 1))
  fi
}

refuses() {  # refuses FILE LINE TEXT: a tree with FILE holding LINE is refused with TEXT
  mkdir -p "$tree/$(dirname "$1")"
  printf '%s\n' "$2" >"$tree/$1"
  expect "$1" 1 "$3"
  rm "$tree/$1"
}

mkdir -p "$tree"/{ir,passes,compiler/codegen,runtime/abi,tools}
echo '#include "ir/graph/type.h"' >"$tree/passes/good.cc"
echo '#include <llvm/IR/Module.h>' >"$tree/compiler/codegen/good.cc"
printf '#include "runtime/abi/kiln.h"\n#include <stdint.h>\n#include <sys/mman.h>\n' >"$tree/runtime/abi/good.c"
expect 'clean tree' 0 ''

refuses ir/bad.cc '#include "passes/pass.h"' 'includes against the flow: ir/bad.cc:1:'
refuses passes/bad.h '#include "compiler/compile.h"' 'includes against the flow: passes/bad.h:1:'
refuses compiler/bad.cc '# include "tools/run.h"' 'includes against the flow: compiler/bad.cc:1:'
refuses runtime/bad.cc '#include "ir/graph/type.h"' 'includes against the flow: runtime/bad.cc:1:'
refuses runtime/abi/bad.cc '#include "absl/status/status.h"' 'not self-contained: runtime/abi/bad.cc:1:'
refuses runtime/abi/bad.cc '#include "runtime/session.h"' 'not self-contained: runtime/abi/bad.cc:1:'
refuses compiler/bad.cc '#include "llvm/IR/Module.h"' 'LLVM outside codegen, jit, aot: compiler/bad.cc:1:'
refuses tools/bad.cc '#include <lld/Common/Driver.h>' 'LLVM outside codegen, jit, aot: tools/bad.cc:1:'
refuses ir/long.cc "$(yes '//' | head -801)" 'longer than 800 lines: ir/long.cc'
refuses ir/bad.cc "// see /hom""e/me/notes" 'a path of one machine: ir/bad.cc:1:'
refuses ir/bad.cc "// TO""DO" 'unfinished: ir/bad.cc:1:'
refuses ir/bad.cc 'int x; ' 'blanks at the end: ir/bad.cc:1:'

exit "$((failures > 0))"
