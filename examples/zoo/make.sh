#!/usr/bin/env bash
# Writes the nets of the gallery that are generated.
#   make.sh                                  all of them anew, here (after a change of bench/models.py)
#   make.sh NET FOLDER [KILN] [OPTION...]    one into FOLDER in all three forms, NET.prototxt, NET.onnx
#                                            and NET.kiln; OPTIONs go to bench/models.py
set -euo pipefail
here=$(realpath "$(dirname "$0")")
models=$here/../../bench/models.py

name_of() { case $1 in alexnet) echo alexnet_lrn ;; *) echo "$1" ;; esac; }

if (($# == 0)); then
  for file in lenet5 alexnet vgg16 vgg19 googlenet resnet18 resnet50 resnet101 resnet152 \
    resnet20 resnet110; do
    "$models" "$(name_of $file)" -o "$here/$file.prototxt"
  done
  exit
fi
net=$1 folder=$2
kiln=${3:-$here/../../build/release/tools/kiln}
mkdir -p "$folder"
"$models" "$(name_of "$net")" -o "$folder/$net.prototxt" "${@:4}"
for form in onnx kiln; do
  "$kiln" convert "$folder/$net.prototxt" "$folder/$net.$form" --param-seed 1
done
"$kiln" diff "$folder/$net.prototxt" "$folder/$net.onnx" --param-seed 1
"$kiln" diff "$folder/$net.prototxt" "$folder/$net.kiln" --param-seed 1
