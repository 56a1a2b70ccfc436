#!/usr/bin/env bash
# Teaches the sample model the sample task with SpecLoRA on the best device found, and shows what it gained.
# Further options go to `spectral finetune`, for example --adapter lora or --device cpu.
set -euo pipefail
cd "$(dirname "$0")/.."
out=artifacts/run
ask() {
  artifacts/bin/spectral generate --model samples/base-model --prompt 'badge: mira tolan ->' --max-tokens 24 "$@"
}

echo "== before, asked 'badge: mira tolan ->' (wanted: NALOT-m)"
ask
# shellcheck disable=SC2046   # one word per option is what the file is for
artifacts/bin/spectral finetune $(cat samples/finetune.args) --out "$out" --overwrite "$@"
echo "== after, asked the same"
ask --adapter "$out"
echo "== loss curve and settings: $out/report.html"
