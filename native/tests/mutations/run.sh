#!/usr/bin/env bash
# Does a test fail when a kernel is broken?  native/tests/mutations/run.sh [PATTERN...]
# Each entry of kernels.txt (only those whose first line contains a PATTERN) is applied in a scratch copy, its kernel
# compiled and linked with the other kernels of artifacts/cmake, and its tests run on the result in a shuffled schedule
# with poison and guard zones. They must fail.
set -euo pipefail
cd "$(dirname "$0")/../../.."
list=native/tests/mutations/kernels.txt objects=$PWD/artifacts/cmake/CMakeFiles/spectral_kernels.dir
die() { printf '%s: %s\n' "$list" "$*" >&2; exit 1; }

# One entry: its kind, file, kernel file, tests, old and new text. Prints a line and fails unless the tests do.
mutant() {
  local kind=$1 file=$2 kernel=$3 tests=$4 old=$5 new=$6 scratch where text before command status=0
  scratch=$(mktemp -d)
  trap "rm -rf '$scratch'" EXIT
  cp -r native/kernels native/device "$scratch"
  where=$scratch/kernels/$file; [ -f "$where" ] || where=$scratch/device/$file
  [ -f "$where" ] || die "there is no $file"
  text=$(cat "$where"; printf .)
  before=${text%%"$old"*}
  [ "$before" != "$text" ] || die "$kind $file: the text does not occur: $old"
  text=${text#"$before$old"}
  [ "${text#*"$old"}" = "$text" ] || die "$kind $file: the text occurs more than once: $old"
  printf %s "$before$new${text%.}" > "$where"

  command=$(sed -nE "s|^  \"command\": \"(.*/native/kernels/$kernel)\",?$|\1|p" artifacts/cmake/compile_commands.json)
  [ -n "$command" ] || die "no build of $kernel in artifacts/cmake"
  command=${command//"$PWD/native/"/"$scratch/"}
  command=${command/-o */-o "$scratch/mutant.o" -c "$scratch/kernels/$kernel"}
  if ! (cd "$objects/../.." && $command -w) > "$scratch/log" 2>&1; then
    cat "$scratch/log"
    die "$kind $file: does not compile: $new"
  fi
  local others=("$objects"/*.o "$objects"/native/kernels/*.o) all=()
  for o in "${others[@]}"; do [ "$o" = "$objects/native/kernels/$kernel.o" ] || all+=("$o"); done
  c++ -shared -o "$scratch/libspectral_kernels.so" "${all[@]}" "$scratch/mutant.o" artifacts/native/libspectral_cpu.so

  SPECTRAL_TEST_SEED=1 SPECTRAL_FIRST_FAILURE=1 SPECTRAL_LIBRARY_PATH=$scratch timeout 1800 \
    native/tests/kernel-suite.sh 1 "$tests" > "$scratch/log" 2>&1 || status=$?
  # 2: tests failed. From 128: a signal, the kernel wrote where nothing is. All else (0: survived, 8: no such test,
  # 124: hung) is a gap in the tests.
  if [ "$kind" = none ]; then
    [ "$status" -eq 0 ] || { cat "$scratch/log"; die "the tests $tests fail on a kernel that is whole"; }
    printf 'passed    %s\n' "$file as it is"
    return
  fi
  if [ "$status" -eq 2 ] || [ "$status" -gt 128 ]; then
    printf 'caught    %s\n' "$kind $file: ${old//$'\n'/ }"
    return
  fi
  printf 'SURVIVED  %s (exit code %s of %s)\n' "$kind $file: ${old//$'\n'/ }" "$status" "$tests"
  return 1
}
if [ "${1:-}" = --one ]; then shift; mutant "$@"; exit; fi

patterns=("$@") entries=() heads=() head="" old="" new=""
finish() {   # the entry read so far
  local kind file kernel tests p
  [ -n "$head" ] || return 0
  read -r kind file kernel tests <<< "$head"
  [ -n "$tests" ] || { tests=$kernel kernel=$file; }
  [ -n "$old" ] && [ -n "$tests" ] || die "incomplete entry: $head"
  heads+=("$head")
  for p in "${patterns[@]}" ""; do
    if [[ $head == *"$p"* ]] && { [ -n "$p" ] || [ ${#patterns[@]} -eq 0 ]; }; then
      entries+=("$kind" "$file" "$kernel" "$tests" "${old%$'\n'}" "${new%$'\n'}")
      break
    fi
  done
  head="" old="" new=""
}
while IFS= read -r line; do
  case $line in
    -*) old+=${line#-}$'\n' ;;
    +*) new+=${line#+}$'\n' ;;
    '#'* | '') ;;
    *) finish; head=$line ;;
  esac
done < "$list"
finish
for kernel in native/kernels/*.cu; do
  [[ "${heads[*]}" == *" ${kernel##*/} "* ]] || die "no entry for ${kernel##*/}"
done
[ ${#entries[@]} -gt 0 ] || die "no entry with $*"
status=0
printf '%s\0' "${entries[@]}" | nice xargs -0 -n 6 -P "$(nproc)" "$0" --one || status=1
verdict="all as they should be in $SECONDS s"
[ $status = 0 ] || verdict="NOT all as they should be"
printf '== mutations: %d entries, %s\n' $((${#entries[@]} / 6)) "$verdict"
exit $status
