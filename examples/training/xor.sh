#!/usr/bin/env bash
# A perceptron cannot learn exclusive or; a network with one hidden layer of sigmoids can.
#   xor.sh [KILN]
set -euo pipefail
kiln=$(realpath "${1:-$(dirname "$0")/../../build/release/tools/kiln}")
cd "$(dirname "$0")"
for net in perceptron mlp; do
  echo "$net:"
  "$kiln" train "xor_$net.prototxt" --data csv:xor.csv --hold-out 0 --loss sigmoid-cross-entropy \
    --epochs 4000 --test-every 4000 --lr 0.5 --quiet --threads 1
done
