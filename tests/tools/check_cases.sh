#!/usr/bin/env bash
# `kiln check` on ONNX's own test cases, as Debian's libonnx-testdata installs them: none fails, and
# at least so many pass.
#   check_cases.sh KILN AT_LEAST EVERY [OPTION...] FOLDER...
# checks every EVERY-th case of the FOLDERs with `kiln check OPTION...`. Exit status 77: no test data.
set -euo pipefail
data=/usr/share/libonnx-testdata/data

kiln=$1 at_least=$2 every=$3
shift 3
options=()
while [[ $1 == --* ]]; do
  options+=("$1")
  shift
done
if [ ! -d "$data" ]; then
  echo "libonnx-testdata is not installed"
  exit 77
fi

mapfile -t cases < <(cd "$data" && find "$@" -mindepth 1 -maxdepth 1 -type d | sort |
                     awk -v every="$every" 'NR % every == 0')
status=0
output=$(cd "$data" && "$kiln" check --quiet "${options[@]}" "${cases[@]}") || status=$?
grep -v '^PASS ' <<<"$output" || true
if ! [[ ${output##*$'\n'} =~ ^([0-9]+)\ passed,\ 0\ failed,\ [0-9]+\ skipped$ ]]; then
  echo "check_cases: a case fails, or the command does (exit status $status)"
  exit 1
fi
if [ "$status" -ne 0 ] || [ "${BASH_REMATCH[1]}" -lt "$at_least" ]; then
  echo "check_cases: exit status $status, ${BASH_REMATCH[1]} passed, expected at least $at_least"
  exit 1
fi
