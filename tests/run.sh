#!/usr/bin/env bash
# Runs the tests of a finished build and ends with their totals:  tests/run.sh [--full] [arguments]
# Arguments go to the test programs, which then run alone; --full adds all slow checks. A failure is shown as it
# happens; everything that was printed is in artifacts/logs/test.log.
set -uo pipefail
cd "$(dirname "$0")/.."
log=artifacts/logs/test.log
say() { printf '== %s\n' "$*"; }
# The runtime maps its code twice, to write through one and run the other: a sixth of the time of a short command, and
# the tests start thousands of them.
export DOTNET_EnableWriteXorExecute=0

full=""
if [ "${1:-}" = --full ]; then
  shift
  full=--full
  export SPECTRAL_FULL=1 # the tests read it too: more kills, more hostile files
fi

programs() { # longest first, as many at once as there are processors; 8: the filter matches no test of one
  local program='tests/Spectral.{}.Tests/bin/Release/net10.0/Spectral.{}.Tests'
  printf '%s\n' Cli Training Kernels Embedding LlamaCpp |
    xargs -P "$(nproc)" -I{} env "$program" --settings tests/brief.runsettings \
      --output Minimal --progress off --no-ansi --ignore-exit-code 8 "$@"
}

everything() {
  local status=0
  if [ $# -eq 0 ]; then
    say "native tests"
    artifacts/native/spectral_native_tests artifacts/native || status=1
  fi
  say "test programs, $(nproc) at a time"
  programs "$@" || status=1
  if [ $# -eq 0 ]; then
    say "kernels in other schedules, as PTX and broken on purpose"
    native/tests/check.sh $full || status=1
  fi
  if [ -n "$full" ]; then
    say "packages, in a project of their own"
    { ./build.sh pack && tools/try-packages.sh; } || status=1
    say "build.ps1"
    tools/try-powershell.sh || status=1
  fi
  return $status
}

# What runs again in other set-ups counts once; its failures, and broken kernels that no test noticed, count.
totals() { # $1: the status of the run; a crash or a build error that no test reported is one failure
  awk -v status="$1" '
    /^ *succeeded: [0-9]+$/ { passed += $2 }
    /^ *failed: [0-9]+$/ { failed += $2 }
    /^ *skipped: [0-9]+$/ { skipped += $2 }
    /^[0-9]+ passed, [0-9]+ failed$/ { passed += $1; failed += $3 }
    /^== kernel tests, .* passed, [0-9]+ failed/ { sub(/.* passed, /, ""); failed += $1 }
    /^SURVIVED / { failed++ }
    END {
      if (status != 0 && failed == 0) failed = 1
      printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped
    }' "$log"
}

everything "$@" 2>&1 | tee "$log"
status=$?
say "$SECONDS s in all"
totals "$status"
exit "$status"
