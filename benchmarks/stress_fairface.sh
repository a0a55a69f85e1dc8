#!/bin/sh
# What breaks a detector that is nearly perfect in the laboratory, and what it learned: the figures of
# docs/how-to/stress.md and docs/how-to/shortcuts.md, from photos in FairFace's layout.
#
#     sh benchmarks/stress_fairface.sh FAIRFACE OUT
#
# About eight minutes of CPU. The detector learns from all kinds; it is stressed on `small`, the one it tells.
set -e
fairface=$1 out=$2
audit generate-pairs --fairface "$fairface" --limit 400 --out "$out/kinds" \
    --generator small --generator swap --generator self-blend
audit generate-pairs --fairface "$fairface" --limit 400 --out "$out/small" --generator small
audit train --arch srm_cnn --data "$out/kinds" --epochs 3 --batch-size 16 --learning-rate 0.005 \
    --precision 32-true --fractions 0.5,0.1,0.4 --seed 1 --out "$out/srm_cnn.pt"
audit stress --detector "$out/srm_cnn.pt" --pairs "$out/small" --out "$out/stress" \
    --transform jpeg --transform downscale --transform gaussian-blur
audit shortcuts --detector "$out/srm_cnn.pt" --pairs "$out/small" --out "$out/shortcuts"
