#!/usr/bin/env bash
# Checks the rules of the tree that no compiler checks, one line a breach, status 1 if there is any:
#   1. includes point one way: tools -> compiler -> passes -> ir -> proto; runtime/ stands apart;
#   2. what goes into emitted libraries (runtime/abi, runtime/threads) includes only itself and libc;
#   3. LLVM's and LLD's headers appear only in compiler/codegen, compiler/jit and compiler/aot
#      (and in their tests);
#   4. no source file is longer than 800 lines;
#   5. no paths of somebody's machine, no unfinished business, no blanks at the ends of lines.
#   lint.sh [ROOT]    ROOT is the tree to check, default the one that holds this script
set -euo pipefail
cd "${1-$(dirname "$0")/../..}"

breaches=0
report() {  # report RULE < "file:line: text"...
  while IFS= read -r line; do
    printf '%s: %s\n' "$1" "$line"
    breaches=$((breaches + 1))
  done
}

folders=()
for folder in proto ir passes compiler runtime tools tests examples bench docs cmake; do
  [ ! -d "$folder" ] || folders+=("$folder")
done
sources=(--include=*.h --include=*.cc --include=*.c)
texts=("${sources[@]}" --include=*.proto --include=*.py --include=*.sh --include=*.cmake
       --include=CMakeLists.txt --include=*.md)

includes_of() {  # includes_of FOLDER PATTERN: lines of FOLDER whose include matches PATTERN
  [ ! -d "$1" ] || grep -rnE "${sources[@]}" "^[[:space:]]*#[[:space:]]*include[[:space:]]*$2" "$1" || true
}

# 1. A folder's forbidden includes. proto/ generates headers and includes none.
report 'includes against the flow' < <(
  includes_of ir '["<](passes|compiler|runtime|tools)/'
  includes_of passes '["<](compiler|runtime|tools)/'
  includes_of compiler '["<]tools/'
  includes_of runtime '["<](proto|ir|passes|compiler|tools)/')

# 2. Quoted includes other than their own, and angled ones with a folder (absl/...), but for sys/.
for folder in runtime/abi runtime/threads; do
  report 'not self-contained' < <(
    includes_of "$folder" '("|<[a-z]+/)' |
      grep -vE 'include[[:space:]]*("runtime/(abi|threads)/|<sys/)' || true)
done

# 3. LLVM stays in its rooms.
report 'LLVM outside codegen, jit, aot' < <(
  grep -rnE "${sources[@]}" '^[[:space:]]*#[[:space:]]*include[[:space:]]*["<](llvm|llvm-c|lld)/' \
    "${folders[@]}" | grep -vE '^(tests/)?compiler/(codegen|jit|aot)/' || true)

# 4. Long files.
report 'longer than 800 lines' < <(
  find "${folders[@]}" \( -name '*.cc' -o -name '*.h' -o -name '*.c' -o -name '*.py' -o -name '*.sh' \
    -o -name '*.proto' \) -exec awk 'FNR == 801 { print FILENAME }' {} +)

# 5. Words. (The brackets keep the patterns from matching themselves.)
report 'a path of one machine' < <(
  grep -rnE "${texts[@]}" '(^|[^A-Za-z0-9_.-])/(hom[e]|roo[t]|wor[k]|User[s])/' "${folders[@]}" || true)
report 'unfinished' < <(grep -rnwE "${texts[@]}" 'TO[D]O|FIXM[E]|XX[X]' "${folders[@]}" || true)
report 'blanks at the end' < <(grep -rnE "${texts[@]}" '[[:blank:]]+$' "${folders[@]}" || true)

if [ "$breaches" -gt 0 ]; then
  echo "lint.sh: $breaches breaches"
  exit 1
fi
