#!/usr/bin/env bash
# Gradient descent down a bowl with three learning rates: too small and it creeps, too large and it
# climbs out on the other side. The losses of the three are plotted into FOLDER/bowl.svg.
#   bowl.sh FOLDER [KILN]
set -euo pipefail
folder=$(realpath "${1:?usage: bowl.sh FOLDER [KILN]}")
kiln=$(realpath "${2:-$(dirname "$0")/../../build/release/tools/kiln}")
cd "$(dirname "$0")"
for rate in 0.003 0.1 0.115; do
  echo "rate $rate:"
  "$kiln" train bowl.kir --data csv:bowl.csv --hold-out 0 --momentum 0 --lr "$rate" \
    --max-steps 60 --test-every 60 --log-every 1 --snapshot-dir "$folder/rate-$rate" --quiet \
    --threads 1
done
python3 plot_losses.py "$folder/bowl.svg" "$folder"/rate-*/metrics.csv
