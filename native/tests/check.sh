#!/usr/bin/env bash
# How the kernels are checked beyond running each test once (docs/kernels.md):  native/tests/check.sh [--full]
# ./build.sh test runs it after the tests themselves. All parts run, whichever fails.
set -euo pipefail
cd "$(dirname "$0")/../.."
suite=native/tests/kernel-suite.sh
status=0
parallel=(xargs -L 1 -P "$(nproc)")   # the kernels' tests are one thread for the most part

setups=(1)
[ "${1:-}" != --full ] || setups+=('asan 1')   # it compiles the device and all kernels once more
# a build without nvcc has no PTX
profiles=()
if [ -d artifacts/ptx ]; then
  setups+=('ptx sm_80 Ops.|Linalg.' 'ptx sm_90a Ops.|Linalg.')
  # fixtures whose ops choose by the device's shared memory or compute capability
  choosing='LowRankPasses|MatrixInverse|SmallSvd'
  setups+=("profile A100 $choosing" "profile RTX4090 $choosing")
  profiles=(A100 RTX4090 H100 H200 B200)
fi
printf '%s\n' "${setups[@]}" | "${parallel[@]}" "$suite" || status=1
if [ "${1:-}" != --full ]; then
  native/tests/mutations/run.sh 'none reductions' 'barrier random_combination' 'guard reductions' 'sign rope' ||
    status=1
  # one fault of each kind
  [ ! -d artifacts/ptx ] || native/tests/mutations/ptx.sh 'none 0 of sm_80/random_combination' \
    'barrier 0 of sm_80/random_combination' 'lanes 0 of sm_80/svd_steps' 'wait 0 of sm_80/sketch_product' \
    'fence 0 of sm_90a/hopper_probe_sm90' 'bytes 0 of sm_90a/hopper_probe_sm90' \
    'fragment 0 of sm_80/low_rank_linear' || status=1
  exit $status
fi
{ seq 2 5; printf 'profile %s\n' "${profiles[@]}"; } | "${parallel[@]}" "$suite" || status=1
if [ -d artifacts/ptx ]; then
  printf 'ptx %s\n' 'sm_80 6' 'sm_90a 7' | "${parallel[@]}" "$suite" || status=1
fi
for preset in asan tsan; do
  printf '== native tests, %s\n' "$preset"
  log=artifacts/$preset-build.log
  { cmake --preset "$preset" && cmake --build --preset "$preset" -j"$(nproc)"; } > "$log" 2>&1 || tail -40 "$log"
  ctest --preset "$preset" || status=1
done
"$suite" tsan || status=1
native/tests/mutations/run.sh || status=1
[ ! -d artifacts/ptx ] || native/tests/mutations/ptx.sh || status=1
exit $status
