#!/usr/bin/env bash
# Installs what is missing of the package groups named (default: build and test). Quiet when nothing
# is; needs root or sudo only when something is.
#   install-packages.sh [build|demo|test|fuzz|develop]...
set -euo pipefail
list=$(dirname "$0")/packages.txt
[ $# -gt 0 ] || set -- build test

missing=()
for group in "$@"; do
  packages=$(awk -v group="[$group]" '/^\[/ { inside = $1 == group } inside && /^[a-z0-9]/ { print $1 }' "$list")
  [ -n "$packages" ] || { echo "install-packages.sh: no group '$group' in $list" >&2; exit 2; }
  for package in $packages; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing+=("$package")
  done
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || {
    echo "install-packages.sh: run as root: apt-get install ${missing[*]}" >&2
    exit 1
  }
  as_root=(sudo)
fi

echo "Installing ${#missing[@]} packages: ${missing[*]}" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@" >"$log" 2>&1; }
if ! { apt update && apt install --yes --no-install-recommends "${missing[@]}"; }; then
  cat "$log" >&2
  exit 1
fi
