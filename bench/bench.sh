#!/usr/bin/env bash
# What ./build.sh bench runs once the native part is built:  bench/bench.sh [device | host | tokenizers] [options]
# device: spectral-bench with its options; host: BenchmarkDotNet with its options (all cases without any); neither:
# both, without options. tokenizers: how fast the tokenizer.json files below a folder encode, beside the Rust core if
# asked for; needs no native part.
set -euo pipefail
cd "$(dirname "$0")/.."
part=${1:-all}; [ $# -eq 0 ] || shift
managed() { dotnet build "$1" -c Release -v quiet -clp:NoSummary; }
device() { managed bench/Spectral.Bench; artifacts/bin/spectral-bench "$@"; }
host() {
  managed bench/Spectral.Benchmarks
  dotnet run -c Release --no-build --project bench/Spectral.Benchmarks -- "${@:---filter=*}"
}
tokenizers() {
  managed bench/Spectral.Benchmarks
  dotnet run -c Release --no-build --project bench/Spectral.Benchmarks -- tokenizers "$@"
}
case $part in
  device) device "$@" ;;
  host) host "$@" ;;
  tokenizers) tokenizers "$@" ;;
  all) device; host ;;
  *) echo "bench.sh: unknown part '$part'; expected device, host or tokenizers" >&2; exit 2 ;;
esac
