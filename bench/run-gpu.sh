#!/usr/bin/env bash
# Tests and measures on this machine's GPU, from the unpacked archive:
#   ./run-gpu.sh test [cuda]           the three test programs; cuda: only what runs on the GPU
#   ./run-gpu.sh sanitize [TOOL...]    kernel tests under compute-sanitizer: memcheck racecheck initcheck synccheck
#   ./run-gpu.sh bench [options]       spectral-bench, see --help
#   ./run-gpu.sh peers [options]       the same shapes in PyTorch and PEFT, then both in one table
# Results go to $OUT, else ./results, a file or two per step; what is cut off has left its part.
# MINUTES (default 9) bounds a verb;
# FILTER narrows the tests, e.g. FILTER='FullyQualifiedName~LowRank', to go through them in several calls.
# Needs a driver, cuBLAS and cuSOLVER: in the loader's path, CUDA's folders, Python's nvidia packages, or
# SPECTRAL_LIBRARY_PATH.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${OUT:-$PWD/results}
mkdir -p "$out"
seconds=$((${MINUTES:-9} * 60))
started=$SECONDS
verb=${1:-}; [ $# -eq 0 ] || shift
export DOTNET_ROOT=$here/dotnet DOTNET_ROOT_X64=$here/dotnet DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_MULTILEVEL_LOOKUP=0
system_path=${LD_LIBRARY_PATH:-}

# cuBLAS and cuSOLVER load further libraries from their own folders: give the loader those of Python's packages too.
wheels=$(python3 -c 'import glob, sys, os
print(":".join(f for p in sys.path for f in glob.glob(os.path.join(p, "nvidia", "*", "lib"))))' 2> /dev/null || true)
export LD_LIBRARY_PATH=$here/bin/openblas${wheels:+:$wheels}${system_path:+:$system_path}

left() { echo $((seconds - (SECONDS - started))); }
# bounded SECONDS COMMAND...: ends it (124) when the time is over
bounded() { local limit=$1; shift; [ "$limit" -gt 0 ] || return 124; timeout -k 10 "$limit" "$@"; }

facts() {
  { echo "version $(cat "$here/VERSION")"; date -u +%Y-%m-%dT%H:%M:%SZ; uname -sr
    nvidia-smi --query-gpu=name,memory.total,driver_version,clocks.sm,clocks.max.sm,temperature.gpu --format=csv \
      2> /dev/null || echo "no nvidia-smi"
    bounded 60 "$here/bin/spectral" info; } > "$out/machine.txt" 2>&1
}

# suite NAME SECONDS PROGRAM ARGUMENTS...: one test program, its log and a line of summary
suite() {
  local name=$1 limit=$2; shift 2
  bounded "$limit" "$@" > "$out/$name.log" 2>&1
  local status=$?
  counts=$(sed -nE 's/^ *(total|failed|succeeded|skipped): ([0-9]+).*/\1 \2/p' "$out/$name.log" | tr '\n' ' ')
  case $status in
    0) word=passed ;;
    8) word="no test matches" status=0 ;;
    124 | 137) word="cut off after $limit s" ;;
    *) word="failed ($status)" ;;
  esac
  printf '%-28s %-22s %s\n' "$name" "$word" "$counts" | tee -a "$out/summary.txt"
  [ $status -eq 0 ] || { failed=1; grep -E '^failed ' "$out/$name.log" | head -n 20 | tee -a "$out/summary.txt"; }
}

launch_cost() {   # the C side of the launch cost, built again where the one in the archive does not start here
  "$here/bin/spectral_launch_cost" > /dev/null 2>&1
  [ $? -ne 2 ] || return 0   # 2: it asks for its arguments
  local source=$here/bench/native/launch_cost.c program=$here/bin/spectral_launch_cost
  for compiler in cc gcc clang nvcc; do
    command -v $compiler > /dev/null && $compiler -O2 "$source" -o "$program" -ldl && return 0
  done
  rm -f "$here/bin/spectral_launch_cost"
}

failed=0
case $verb in
  test)
    facts
    filter=(${FILTER:+--filter "$FILTER"})
    [ "${1:-}" != cuda ] || filter=(--filter "FullyQualifiedName~Cuda${FILTER:+&($FILTER)}")
    suite test-kernels $(($(left) * 6 / 10)) "$here/bin/Spectral.Kernels.Tests" --output Detailed "${filter[@]}"
    suite test-training $(($(left) * 6 / 10)) "$here/bin/Spectral.Training.Tests" --output Detailed "${filter[@]}"
    [ "${1:-}" = cuda ] || suite test-cli "$(left)" "$here/bin/Spectral.Cli.Tests" --output Detailed "${filter[@]}" ;;
  sanitize)
    facts
    sanitizer=$(command -v compute-sanitizer ||
      ls -d /usr/local/cuda*/bin/compute-sanitizer 2> /dev/null | sort -V | tail -n 1)
    [ -n "$sanitizer" ] || { echo "compute-sanitizer is not on this machine"; exit 1; }
    tools=("$@"); [ $# -gt 0 ] || tools=(memcheck racecheck initcheck synccheck)
    remaining=${#tools[@]}
    # SPECTRAL_CHECK: every tensor an allocation of its own, or the pool would hide what is out of bounds
    for tool in "${tools[@]}"; do
      SPECTRAL_CHECK=1 suite "sanitize-$tool" $(($(left) / remaining)) \
        "$sanitizer" --tool "$tool" --error-exitcode 99 --launch-timeout 60 \
        "$here/bin/Spectral.Kernels.Tests" --output Detailed --filter "FullyQualifiedName~Cuda${FILTER:+&($FILTER)}"
      grep -E 'ERROR SUMMARY|RACECHECK SUMMARY' "$out/sanitize-$tool.log" | tee -a "$out/summary.txt"
      remaining=$((remaining - 1))
    done ;;
  bench)
    facts
    launch_cost
    minutes=$(awk "BEGIN { print $seconds / 60 }")
    bounded $((seconds + 60)) "$here/bin/spectral-bench" --minutes "$minutes" --json "$out/bench.json" "$@" 2>&1 |
      tee "$out/bench.txt"
    failed=${PIPESTATUS[0]} ;;
  peers)
    peers=$here/bench/peers/peers.py
    LD_LIBRARY_PATH=$system_path bounded "$(left)" python3 "$peers" --json "$out/peers.json" "$@" 2>&1 |
      tee "$out/peers.txt"
    failed=${PIPESTATUS[0]}
    if [ -f "$out/bench.json" ] && [ -f "$out/peers.json" ]; then
      python3 "$peers" --merge "$out/bench.json" "$out/peers.json" | tee "$out/merged.txt"
    fi ;;
  *) sed -n '2,9p' "$0"; exit 2 ;;
esac
exit "$failed"
