#!/usr/bin/env bash
# The largest element of each layer's gradient, in eight layers of sigmoids and in the same of ReLUs: the
# former vanish on their way to the first layer, the latter do not.
#   vanishing.sh [KILN]
set -euo pipefail
kiln=$(realpath "${1:-$(dirname "$0")/../../build/release/tools/kiln}")
net=$(realpath "$(dirname "$0")")/deep_mlp.prototxt
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cp "$net" "$folder/sigmoid.prototxt"
sed 's/"Sigmoid"/"ReLU"/; s/"xavier"/"msra"/' "$net" > "$folder/relu.prototxt"
cd "$folder"
for kind in sigmoid relu; do
  "$kiln" compile $kind.prototxt --param-seed 1 --functions loss --no-optimize --emit ir \
    -o $kind.kir --quiet
  "$kiln" opt $kind.kir --passes differentiate -o $kind.gradient.kir --quiet
  "$kiln" run $kind.gradient.kir --function gradient --input random --output-dir $kind --quiet |
    awk -F '[ ,:]+' '/^d .*weight/ { sub(/\.weight/, "", $2); low = -$(NF - 4); high = $(NF - 2)
                                     print $2, (low > high ? low : high) }' > $kind.txt
done
printf '%-8s %-12s %s\n' layer sigmoid relu
join sigmoid.txt relu.txt | while read -r layer sigmoid relu; do
  printf '%-8s %-12s %s\n' "$layer" "$sigmoid" "$relu"
done
