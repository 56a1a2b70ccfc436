#!/usr/bin/env bash
# Does a test fail when the PTX that ships is broken?
#   native/tests/mutations/ptx.sh [PATTERN...]     faults whose line below contains a PATTERN; without one, all
# One instruction of one module of artifacts/ptx is broken at a time, and the tests that kernels.txt names for its
# kernels run on the result, in shuffled schedules with poison and guard zones. They must fail.
#   none       nothing is broken, and the tests must pass
#   barrier    a bar.sync or barrier.cluster.wait is missing
#   lanes      a bar.warp.sync is missing
#   wait       a cp.async.wait_group, cp.async.wait_all, cp.async.bulk.wait_group or wgmma.wait_group is missing
#   fence      a wgmma.fence, fence.proxy.async or fence.mbarrier_init is missing
#   bytes      an mbarrier expects fewer bytes than its copies bring
#   fragment   two registers of the A fragment of an mma.sync are swapped
# Every barrier, wait, fence and count is broken once; of the fragments, which unrolling repeats, three in each module.
# Those that match a pattern of ptx-exempt.txt show in no test, for the reason given there, and are only counted.
set -euo pipefail
cd "$(dirname "$0")/../../.."
folder=native/tests/mutations
die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

declare -A find=(
  [none]='\.visible \.entry'
  [barrier]='bar\.sync|barrier\.cluster\.wait'
  [lanes]='bar\.warp\.sync'
  [wait]='cp\.async\.(bulk\.)?wait_|wgmma\.wait_group'
  [fence]='wgmma\.fence|fence\.proxy\.async|fence\.mbarrier_init'
  [bytes]='mbarrier\.arrive\.expect_tx'
  [fragment]='mma\.sync\.'
)
declare -A edit=(
  [none]='s|^|&|'
  [barrier]='s|^.*$||'
  [lanes]='s|^.*$||'
  [wait]='s|^.*$||'
  [fence]='s|^.*$||'
  [bytes]='s|, *[^,;]*;|, 16;|'
  [fragment]='s|},\{([^,]*),([^,]*),|},{\2,\1,|'
)

# One fault: its kind, module as TARGET/NAME, how many of the kind come before it, and the tests.
fault() {
  local kind=$1 module=$2 nth=$3 tests=$4 scratch line seed status
  local ptx=artifacts/ptx/$module.ptx what="$kind ${nth} of $module"
  line=$(grep -nE "${find[$kind]}" "$ptx" | sed -n "$((nth + 1))s/:.*//p")
  [ -n "$line" ] || die "$what: there is none"
  scratch=$(mktemp -d)
  trap "rm -rf '$scratch'" EXIT
  mkdir "$scratch/${module%/*}"
  sed -E "$line${edit[$kind]}" "$ptx" > "$scratch/$module.ptx"
  [ "$kind" = none ] || ! cmp -s "$ptx" "$scratch/$module.ptx" ||
    die "$what: the edit changes nothing in: $(sed -n "${line}p" "$ptx")"
  # An order in which the fault does no harm proves nothing: several are tried. With one thread the device has one
  # multiprocessor, so that persistent blocks walk over several tiles.
  for seed in 1 2 3; do
    status=0
    SPECTRAL_CPU_THREADS=1 SPECTRAL_TEST_SEED=1 SPECTRAL_FIRST_FAILURE=1 SPECTRAL_PTX_PATH=$scratch timeout 1800 \
      native/tests/kernel-suite.sh ptx "${module%/*}" "$seed" "$tests" > "$scratch/log" 2>&1 || status=$?
    [ "$status" -eq 0 ] || break
  done
  if [ "$kind" = none ]; then
    [ "$status" -eq 0 ] || { cat "$scratch/log"; die "the tests $tests fail on $module as it is"; }
    printf 'passed    %s as it is\n' "$module"
    return
  fi
  [ "$status" -ne 2 ] || { printf 'caught    %s\n' "$what"; return; }
  [ "$status" -eq 0 ] || cat "$scratch/log"
  printf 'SURVIVED  %s (exit code %s of %s)\n' "$what" "$status" "$tests"
  return 1
}
if [ "${1:-}" = --one ]; then shift; fault "$@"; exit; fi

tests_of() { # of a kernel file without its suffix
  awk -v kernel="$1.cu" '/^[a-z]+ / && ($2 == kernel || $3 == kernel) { print $NF; exit }' "$folder/kernels.txt"
}
is_exempt() { # the line of a fault
  local pattern
  for pattern in "${exempt[@]}"; do
    if [[ $1 == $pattern ]]; then
      used[$pattern]=1
      return
    fi
  done
  return 1
}
[ -d artifacts/ptx ] || die "no PTX in artifacts/ptx; ./build.sh test builds it"
mapfile -t exempt < <(grep -vE '^(#|$)' "$folder/ptx-exempt.txt")
declare -A used=()
entries=() exempted=0
for ptx in artifacts/ptx/*/*.ptx; do
  module=${ptx#artifacts/ptx/} module=${module%.ptx}
  # What a target shares with another is broken in the first alone.
  case $module in sm_90a/*_sm90 | sm_80/*) ;; *) continue ;; esac
  breakable=0
  for kind in barrier lanes wait fence bytes fragment none; do
    count=$(grep -cE "${find[$kind]}" "$ptx" || true)
    step=1
    if [ "$kind" = none ]; then count=$((breakable > 0)); fi
    breakable=$((breakable + count))
    if [ "$kind" = fragment ] && [ "$count" -gt 3 ]; then step=$((count / 3)); fi
    for ((nth = 0; nth < count; nth += step)); do
      line="$kind $nth of $module"
      for pattern in "$@" ""; do
        if [[ $line == *"$pattern"* ]] && { [ -n "$pattern" ] || [ $# -eq 0 ]; }; then
          if is_exempt "$line"; then
            exempted=$((exempted + 1))
          else
            entries+=("$kind" "$module" "$nth" "$(tests_of "${module#*/}")")
          fi
          break
        fi
      done
    done
  done
done
[ $# -gt 0 ] || [ ${#used[@]} -eq ${#exempt[@]} ] || die "a pattern of ptx-exempt.txt matches no fault"
[ ${#entries[@]} -gt 0 ] || die "no fault with $*"
status=0
printf '%s\0' "${entries[@]}" | nice xargs -0 -n 4 -P "$(nproc)" "$0" --one || status=1
verdict="all caught in $SECONDS s"
[ $status = 0 ] || verdict="NOT all caught"
printf '== faults in PTX: %d, %s; %d more are exempt (ptx-exempt.txt)\n' $((${#entries[@]} / 4)) "$verdict" "$exempted"
exit $status
