#!/usr/bin/env bash
# The kernels' .NET tests, run again where a wrong kernel shows:
#   native/tests/kernel-suite.sh SETUP [FIXTURE|FIXTURE...]
#   NUMBER       threads and streams in the order drawn from that number, memory filled with 0xCD, guard zones round
#                every tensor
#   asan NUMBER  the same on a device and kernels built with AddressSanitizer and UBSan
#   ptx TARGET [NUMBER]   on the PTX of that target (sm_80, sm_90a) in place of kernels compiled from source; with a
#                number, as for it alone
#   profile GPU  on the PTX that this GPU would load, within its limits (A100, RTX4090, H100, H200, B200)
#   tsan         on kernels built for ThreadSanitizer, to which every CUDA thread is a thread
# SPECTRAL_LIBRARY_PATH, where set, is the folder of other native libraries to test. With SPECTRAL_FIRST_FAILURE set the
# run ends at the first failure. Prints one line, and on failure what failed.
set -euo pipefail
cd "$(dirname "$0")/../.."
setup=${1:?a number, asan, ptx, profile or tsan}; shift
say() { printf '== kernel tests, %s: %s\n' "$name" "$*"; }

sanitized() {   # $1: preset. Builds it and preloads its runtimes: .NET's executable is not linked with them
  local log=artifacts/$1-build.log
  if ! { cmake --preset "$1" && cmake --build --preset "$1" -j"$(nproc)" --target spectral_kernels; } \
    > "$log" 2>&1; then
    tail -40 "$log"
    exit 1
  fi
  export SPECTRAL_LIBRARY_PATH=$PWD/artifacts/native-$1
  # Address randomisation and the sanitizers' maps do not agree on every system.
  if setarch -R true 2> /dev/null; then run=(setarch -R); fi
  preload=$(ldd "$SPECTRAL_LIBRARY_PATH/libspectral_cpu.so" | awk '/lib(a|ub|t)san/ {printf "%s ", $3}')
}
# .NET turns SIGSEGV into exceptions and never frees what it keeps until the end.
signals=handle_segv=0:handle_sigbus=0:handle_sigfpe=0:handle_sigill=0:handle_abort=0
signals+=:allow_user_segv_handler=1:use_sigaltstack=0
preload="" run=()
case $setup in
  asan) seed=${1:?a number}; shift; name="AddressSanitizer and UBSan, schedule $seed"; sanitized asan
    export ASAN_OPTIONS=detect_leaks=0:$signals UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 ;;
  ptx) export SPECTRAL_CPU_KERNELS=ptx SPECTRAL_CPU_PTX_TARGET=${1:?a target}; shift
    seed=0 name="PTX of $SPECTRAL_CPU_PTX_TARGET"
    if [[ ${1:-} =~ ^[0-9]+$ ]]; then seed=$1 name+=", schedule $1"; shift; fi ;;
  profile) export SPECTRAL_CPU_KERNELS=ptx SPECTRAL_CPU_PROFILE=${1:?a GPU}; shift
    unset SPECTRAL_CPU_PTX_TARGET
    seed=0 name="PTX on the limits of $SPECTRAL_CPU_PROFILE" ;;
  tsan) seed=0 name=ThreadSanitizer; sanitized tsan
    # Races of the kernels only: the runtime and the device are not instrumented. It holds signals back, so threads
    # stop at calls instead.
    TSAN_OPTIONS=suppressions=$PWD/native/tests/tsan.supp:detect_deadlocks=0:ignore_noninstrumented_modules=1
    export TSAN_OPTIONS+=:report_thread_leaks=0:$signals
    export DOTNET_ThreadSuspendInjection=0 DOTNET_gcConcurrent=0 DOTNET_TieredCompilation=0 ;;
  *) seed=$setup name="schedule $seed" ;;
esac
if [ "$seed" != 0 ]; then
  export SPECTRAL_CPU_SEED=$seed SPECTRAL_CPU_ASYNC=1 SPECTRAL_CPU_POISON=1 SPECTRAL_CPU_CHECK=1 SPECTRAL_CHECK=1
fi

# CPU device; no packages or PTX, which are the same here, and no comparison of source with PTX (CpuKernels): with
# other flags a compiler rounds elsewhere
filter='FullyQualifiedName!~Cuda&FullyQualifiedName!~Package&FullyQualifiedName!~Ptx&FullyQualifiedName!~CpuKernels'
[ $# -eq 0 ] || filter="(FullyQualifiedName~.${1//|/|FullyQualifiedName~.})&$filter"
settings=()
[ -z "${SPECTRAL_FIRST_FAILURE:-}" ] || settings=(--settings tests/first-failure.runsettings)
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
program=tests/Spectral.Kernels.Tests/bin/Release/net10.0/Spectral.Kernels.Tests
env -u SPECTRAL_FULL LD_PRELOAD="$preload" "${run[@]}" "$program" --no-ansi --progress off \
  --filter "$filter" "${settings[@]}" > "$log" 2>&1 || status=$?
count() { sed -nE "s/^ *$1: ([0-9]+)$/\1/p" "$log" | tail -1; }
passed=$(count succeeded) failed=$(count failed)
if [ "$status" -ne 0 ]; then
  # Without the totals, which tests/run.sh adds up.
  grep -E -A12 '^failed |ERROR: AddressSanitizer|runtime error:|WARNING: ThreadSanitizer|^Fatal error' "$log" |
    grep -Ev "^ *(total|failed|succeeded|skipped): " | head -200 || tail -40 "$log"
  say "${passed:-?} passed, ${failed:-1} failed, exit code $status"
  exit "$status"
fi
say "$passed passed, $failed failed, $SECONDS s"
