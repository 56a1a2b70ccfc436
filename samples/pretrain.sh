#!/bin/sh
# Makes everything in this folder again: the data, the tokenizer, and the base model by our own `spectral pretrain`.
# Build first (./build.sh). Options are passed on to `spectral pretrain`, for example --device cuda.
set -eu
cd "$(dirname "$0")/.."
made=artifacts/sample

dotnet run samples/make-data.cs -- "$made"
cp "$made/train.jsonl" "$made/eval.jsonl" "$made/known.jsonl" samples/

artifacts/bin/spectral pretrain --model "$made/base-model" --data "$made/pretrain.jsonl" --eval samples/known.jsonl \
  --out "$made/pretrained" --overwrite --steps 1500 --batch 32 --max-length 128 --lr 2e-3 --warmup 100 --seed 1 "$@"

mkdir -p samples/base-model
for file in config.json generation_config.json tokenizer.json model.safetensors; do
  cp "$made/pretrained/$file" samples/base-model/
done
artifacts/bin/spectral eval --model samples/base-model --data samples/known.jsonl
