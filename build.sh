#!/usr/bin/env bash
# Sets up, builds, runs and tests Spectral:  ./build.sh [VERB] [arguments]
#   build    native libraries, PTX when nvcc is found, all projects
#   run      fine-tune the sample model and print what it gained
#   test     all tests, PTX included; --full: all there is, the kernels under sanitizers too, hours;
#            other arguments go to the test programs, which then run alone: --filter FullyQualifiedName~Rope
#   check    layout, style and line lengths of all sources, as .ci/run does
#   pack     NuGet packages of the libraries and the command, into artifacts/packages
#   bench    spectral-bench, then BenchmarkDotNet; "bench device ..." or "bench host ..." is one of them;
#            "bench tokenizers FOLDER ..." times tokenizers
#   bundle   one archive, to test and measure on another machine's GPU
#   clean    remove what was built
set -euo pipefail
cd "$(dirname "$0")"
verb=${1:-build}
[ $# -eq 0 ] || shift
say() { printf '== %s\n' "$*"; }
die() {
  printf 'build.sh: %s\n' "$*" >&2
  exit 1
}
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1
tools=$PWD/.tools logs=artifacts/logs
mkdir -p "$logs"

stage() { # stage TITLE COMMAND...: one line with its time; what it printed only if it fails
  local title=$1 log="$logs/${1// /-}.log" started=$SECONDS
  shift
  printf '== %-40s' "$title"
  if ! "$@" > "$log" 2>&1; then
    printf 'failed, all of it in %s\n' "$log"
    grep -E -A5 '\b[Ee]rror\b|\*\*\*' "$log" || tail -n 40 "$log"
    exit 1
  fi
  printf '%5d s\n' $((SECONDS - started))
}

has() { command -v "$1" > /dev/null; }
has_library() { # not grep -q: it leaves before ldconfig is done, which fails the pipe
  { ldconfig -p || /sbin/ldconfig -p; } 2> /dev/null | grep -F "$1" > /dev/null
}
can_install() { [ "$(id -u)" = 0 ] && has apt-get; }

packages() { # what the build, the CPU device and the verb need from the system
  has dotnet || die "the .NET 10 SDK is missing (command dotnet)"
  local missing=()
  has g++ || missing+=(g++)
  has cmake || missing+=(cmake)
  has make || missing+=(make)
  has_library libopenblas.so.0 || missing+=(libopenblas0-pthread)
  has node || missing+=(nodejs) # node and npm bundle the script of the reports
  has npm || missing+=(npm)
  [ "$verb" != check ] || has clang-format || missing+=(clang-format)
  if [ "$verb" = test ] && can_install && ! has chromium; then
    missing+=(chromium) # else the tests of pages are skipped
  fi
  if [ "$verb" = test ] && can_install && ! has mpirun; then
    missing+=(libopenmpi-dev openmpi-bin) # else the tests of several ranks are skipped
  fi
  if [ ${#missing[@]} -gt 0 ]; then
    can_install || die "please install: ${missing[*]}   (Debian: apt-get install ${missing[*]})"
    say "missing: ${missing[*]}"
    stage "package lists" apt-get -qq update
    install "${missing[@]}"
  fi
  (faster_products) || say "without oneDNN, OpenBLAS computes the matrix products of the CPU device"
}

install() {
  DEBIAN_FRONTEND=noninteractive stage "system packages" apt-get -qq install -y --no-install-recommends "$@"
}

faster_products() { # oneDNN, where the package lists have it; releases of Debian number the package as the library
  ! has_library libdnnl.so && can_install || return 0
  local package
  package=$(apt-cache --names-only search '^libdnnl[0-9.]+$' | awk 'END { print $1 }')
  [ -z "$package" ] || install "$package"
}

find_nvcc() { # $1: "fetch" may download it. Sets nvcc and include; both stay empty without one
  nvcc="" include=""
  if [ -x "${CUDA_HOME:-}/bin/nvcc" ]; then
    nvcc=$CUDA_HOME/bin/nvcc
  elif has nvcc; then
    nvcc=$(command -v nvcc)
  elif [ -x "$tools/cuda/nvcc" ] || { [ "$1" = fetch ] && native/fetch-nvcc.sh "$tools/cuda"; }; then
    nvcc=$tools/cuda/nvcc include=$tools/cuda/usr/include
  else
    say "PTX skipped: no nvcc in CUDA_HOME or PATH; the CPU device needs none"
  fi
}
gpu() { if has_library libcuda.so.1; then echo fetch; fi; } # PTX is worth a download only where it can run

native() { # $1: as find_nvcc; $2: what to build beside the PTX, else everything
  packages
  find_nvcc "${1:-}"
  stage "native configuration" cmake -S . -B artifacts/cmake -DCMAKE_BUILD_TYPE=Release \
    -DSPECTRAL_NVCC="$nvcc" -DSPECTRAL_CUDA_INCLUDE="$include"
  stage "native libraries" cmake --build artifacts/cmake -j"$(nproc)" --target "${2:-spectral_native}"
  [ -z "$nvcc" ] || stage "PTX" cmake --build artifacts/cmake -j"$(nproc)" --target spectral_ptx
}
machine_code() { # what the GPUs that there are need not compile at first use; only packages have it: two minutes
  [ -z "$nvcc" ] || stage "machine code" cmake --build artifacts/cmake -j"$(nproc)" --target spectral_cubin
}
managed() { # without the analyzers, which take as long again; "check" runs them
  stage "managed projects" dotnet build "$@" -c Release -v quiet -clp:NoSummary -p:RunAnalyzers=false
}

case $verb in
  build)
    native "$(gpu)"
    managed Kernels.sln
    say "built: artifacts/bin/spectral"
    ;;
  run)
    native "$(gpu)" spectral_kernels
    managed src/Spectral.Cli
    samples/run.sh "$@"
    ;;
  test)
    native fetch
    [ -z "$nvcc" ] || stage "PTX of the tests" cmake --build artifacts/cmake -j"$(nproc)" --target spectral_user_ptx
    managed Kernels.sln
    tests/run.sh "$@"
    ;;
  check)
    packages
    tools/check.sh
    ;;
  pack)
    native fetch
    machine_code
    stage "packages" dotnet pack Kernels.sln -c Release -v quiet -p:Cubins=true -o artifacts/packages
    say "packed: $(echo artifacts/packages/*.nupkg)"
    ;;
  bench)
    native "$(gpu)"
    bench/bench.sh "$@"
    ;;
  bundle)
    native fetch
    machine_code
    managed Kernels.sln -p:Cubins=true
    bench/bundle.sh artifacts/spectral-gpu.tar.xz
    ;;
  clean)
    rm -rf artifacts
    find src tests bench -type d \( -name bin -o -name obj -o -name node_modules \) -prune -exec rm -rf {} +
    ;;
  *) die "unknown verb '$verb'; expected build, run, test, check, pack, bench, bundle or clean" ;;
esac
