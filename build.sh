#!/usr/bin/env bash
# Sets up, builds, runs and tests Spectral:  ./build.sh [build | run | test [--full] | bench | bundle | clean] [arguments]
#   build  native libraries, PTX when nvcc is found, all projects        run    fine-tune the sample model and print what it gained
#   test   everything, PTX included, the kernels under sanitizers too (--full: all there is, hours; other arguments: dotnet test's, its tests alone)
#   bench  spectral-bench, then BenchmarkDotNet; "bench device ..." or "bench host ..." is one of them;
#          "bench tokenizers FOLDER ..." times tokenizers       clean   removes what was built
#   bundle one archive, to test and measure on another machine's GPU
set -euo pipefail
cd "$(dirname "$0")"
verb=${1:-build}; [ $# -eq 0 ] || shift
say() { printf '== %s\n' "$*"; }
die() { printf 'build.sh: %s\n' "$*" >&2; exit 1; }
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1
tools=$PWD/.tools

has_library() { { ldconfig -p || /sbin/ldconfig -p; } 2>/dev/null | grep -F "$1" > /dev/null; }   # -q would leave before ldconfig is done: a failed pipe

packages() {   # what the build and the CPU device need from the system
  command -v dotnet > /dev/null || die "the .NET 10 SDK is missing (command dotnet)"
  local missing=()
  command -v g++ > /dev/null || missing+=(g++)
  command -v cmake > /dev/null || missing+=(cmake)
  command -v make > /dev/null || missing+=(make)
  has_library libopenblas.so.0 || missing+=(libopenblas0-pthread)
  command -v node > /dev/null || missing+=(nodejs)   # node and npm bundle the script of the reports
  command -v npm > /dev/null || missing+=(npm)
  if [ "$verb" = test ] && [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null && ! command -v chromium > /dev/null; then missing+=(chromium); fi   # else the tests of pages are skipped
  [ ${#missing[@]} -gt 0 ] || return 0
  { [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; } || die "please install: ${missing[*]}   (Debian: apt-get install ${missing[*]})"
  say "installing ${missing[*]}"
  { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${missing[@]}"; } > /dev/null
}

native() {   # $1: "fetch" may download nvcc where there is none; $2: what to build, else everything
  packages
  local nvcc="" include=""
  if [ -x "${CUDA_HOME:-}/bin/nvcc" ]; then nvcc=$CUDA_HOME/bin/nvcc
  elif command -v nvcc > /dev/null; then nvcc=$(command -v nvcc)
  elif [ -x "$tools/cuda/nvcc" ] || { [ "${1:-}" = fetch ] && native/fetch-nvcc.sh "$tools/cuda"; }; then nvcc=$tools/cuda/nvcc include=$tools/cuda/usr/include
  else say "PTX skipped: no nvcc in CUDA_HOME or PATH; the CPU device needs none"; fi
  cmake -S . -B artifacts/cmake -DCMAKE_BUILD_TYPE=Release -DSPECTRAL_NVCC="$nvcc" -DSPECTRAL_CUDA_INCLUDE="$include" > artifacts/cmake.log 2>&1 || { cat artifacts/cmake.log; exit 1; }
  cmake --build artifacts/cmake -j"$(nproc)" --target "${2:-all}" > artifacts/native.log 2>&1 || { grep -E 'error|Error' -A3 artifacts/native.log || tail -40 artifacts/native.log; exit 1; }
}
gpu() { if has_library libcuda.so.1; then echo fetch; fi; }   # PTX is worth a download only where it can run
managed() { dotnet build "$@" -c Release -v quiet -clp:NoSummary; }
mkdir -p artifacts
case $verb in
  build) native "$(gpu)"; managed Kernels.sln; say "built: artifacts/bin/spectral" ;;
  run) native "$(gpu)" spectral_product; managed src/Spectral.Cli; samples/run.sh "$@" ;;
  test)
    full=""; if [ "${1:-}" = --full ]; then shift; full=--full; export SPECTRAL_FULL=1; fi   # which the tests read too: more kills, more hostile files
    native fetch; managed Kernels.sln
    say "native tests"; artifacts/native/spectral_native_tests artifacts/native
    dotnet test --solution Kernels.sln -c Release --no-build "$@"
    [ $# -gt 0 ] || native/tests/check.sh $full ;;
  bench) native "$(gpu)"; bench/bench.sh "$@" ;;
  bundle) native fetch; managed Kernels.sln; bench/bundle.sh artifacts/spectral-gpu.tar.xz ;;
  clean) rm -rf artifacts; find src tests bench -type d \( -name bin -o -name obj -o -name node_modules \) -prune -exec rm -rf {} + ;;
  *) die "unknown verb '$verb'; expected build, run, test [--full], bench, bundle or clean" ;;
esac
