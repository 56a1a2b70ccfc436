#!/usr/bin/env bash
# Packs what another machine needs to test and measure on its GPU:  bench/bundle.sh ARCHIVE   (after a build)
# Command, spectral-bench and the test programs lie in one folder beside their libraries; the .NET runtime and the
# OpenBLAS that
# the CPU device loads come along. The other machine needs Linux x86-64 with glibc, a driver, and cuBLAS and cuSOLVER.
set -euo pipefail
archive=$(realpath -m "$1")
cd "$(dirname "$0")/.."
die() { printf 'bundle.sh: %s\n' "$*" >&2; exit 1; }
limit=$((48 << 20))
[ -n "$(ls artifacts/ptx/sm_90a 2> /dev/null)" ] || die "no PTX in artifacts/ptx: the build found no nvcc"

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
root=$stage/spectral-gpu
mkdir -p "$root"/{bin,dotnet,bench}

# One copy of each file. Two programs that want different files under one name would break each other.
for output in artifacts/bin tests/Spectral.{Kernels,Training,Cli}.Tests/bin/Release/net10.0; do
  (cd "$output" && find . -type f ! -name '*.xml' ! -name '*.pdb') | while read -r file; do
    if [ ! -e "$root/bin/$file" ]; then install -D "$output/$file" "$root/bin/$file"
    else
      cmp -s "$output/$file" "$root/bin/$file" ||
        die "$file in $output differs from that of another program: rebuild all"
    fi
  done
done
# A stale copy would test what is no longer there.
for source in artifacts/native/libspectral_cpu.so artifacts/native/libspectral_kernels.so; do
  cmp -s "$source" "$root/bin/$(basename "$source")" || die "$source is newer than the programs: rebuild all"
done

muxer=$(realpath "$(command -v dotnet)")
[ ! -d "${DOTNET_ROOT:-}/shared" ] || muxer=$(realpath "$DOTNET_ROOT/dotnet")
sdk=$(dirname "$muxer")
version=$(sed -nE 's/.*"version": "([0-9.]+)".*/\1/p' "$root/bin/spectral.runtimeconfig.json" | head -n 1)
runtime=$(dotnet --list-runtimes |
  sed -nE "s/^Microsoft\.NETCore\.App (${version%%.*}\.[0-9.]+) .*/\1/p" | sort -V | tail -n 1)
[ -n "$runtime" ] || die "dotnet --list-runtimes names no runtime $version"
for folder in "host/fxr/$runtime" "shared/Microsoft.NETCore.App/$runtime"; do
  [ -d "$sdk/$folder" ] || die "$sdk/$folder is not there"
  mkdir -p "$root/dotnet/$(dirname "$folder")" && cp -r "$sdk/$folder" "$root/dotnet/$folder"
done

# libopenblas.so.0 with the Fortran runtime it was linked to; libc, libm and libgcc_s are everywhere.
openblas=$( { ldconfig -p || /sbin/ldconfig -p; } | sed -nE 's/^\s*libopenblas\.so\.0 .*=> (.*)/\1/p' | head -n 1)
[ -n "$openblas" ] || die "libopenblas.so.0 is not on this machine"
install -D "$(realpath "$openblas")" "$root/bin/openblas/libopenblas.so.0"
ldd "$openblas" | sed -nE 's/.*(lib(gfortran|quadmath)\.so\.[0-9]+) => (\S+).*/\1 \3/p' | while read -r name file; do
  install "$(realpath "$file")" "$root/bin/openblas/$name"
done

cp bench/run-gpu.sh "$root/"
cp -r bench/peers bench/native bench/results/README.md "$root/bench/"
rm -rf "$root/bench/peers/__pycache__"
mkdir "$root/native" && cp -r native/kernels native/device "$root/native/"
cp -r samples "$root/samples"
git describe --always --dirty > "$root/VERSION" 2> /dev/null || echo unknown > "$root/VERSION"

mkdir -p "$(dirname "$archive")"
tar -C "$stage" --owner=0 --group=0 --sort=name -cf - spectral-gpu | xz -T0 -7 > "$archive"
size=$(stat -c %s "$archive")
[ "$size" -le "$limit" ] || die "$archive has $size bytes, the limit is $limit"
printf '== %s: %d MiB, %d MiB unpacked\n' "$archive" $((size >> 20)) "$(du -sm "$root" | cut -f1)"
