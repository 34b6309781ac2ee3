#!/usr/bin/env bash
# Formats every C and C++ file of the tree in place; with --check, only says which ones it would change.
set -euo pipefail
cd "$(dirname "$0")/../.."
how=(-i)
[ "${1-}" != --check ] || how=(--dry-run -Werror)
find . \( -path ./build -o -path ./.git \) -prune -o \
  -type f \( -name '*.cc' -o -name '*.h' -o -name '*.c' \) -print0 | xargs -0 -r clang-format-19 "${how[@]}"
