#!/usr/bin/env bash
# Both phases on a data set, from scratch and pretrained, with config/NAME.yaml: the runs that docs/data_sets.md reports.
#     benchmarks/data_sets.sh camvid path/to/CamVid          (archives: none for drawn data sets)
# Everything goes on where it stopped. Results lie in runs/NAME/{autoencoder,scratch,pretrained}/results.
set -euo pipefail
name=$1
archives=()
[ $# -lt 2 ] || archives=(--archives "$2")
root=${ROOT:-.}
data=$root/data/$name runs=$root/runs/$name
python -m data.prepare --config "config/$name.yaml" "${archives[@]}" --output_dir "$data" --raw_dir "$root/data/raw"
python -m reconstruction.train --config "config/$name.yaml" --data_dir "$data" --output_dir "$runs/autoencoder"
python -m transfer_learning.train --config "config/$name.yaml" --data_dir "$data" --output_dir "$runs/scratch"
python -m transfer_learning.train --config "config/$name.yaml" --data_dir "$data" --output_dir "$runs/pretrained" \
    --pretrained_encoder "$runs/autoencoder/best_model.safetensors" --transfer all
python -m reconstruction.evaluate --model_path "$runs/autoencoder/best_model.safetensors" --data_dir "$data" \
    --output_dir "$runs/autoencoder/results"
for arm in scratch pretrained; do
    python -m transfer_learning.evaluate --model_path "$runs/$arm/best_model.safetensors" --data_dir "$data" \
        --output_dir "$runs/$arm/results"
done
python -m experiments.report "$runs/autoencoder" "$runs/scratch" "$runs/pretrained" --output "$runs/report.html"
