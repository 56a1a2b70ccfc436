#!/usr/bin/env bash
# Unpacks the CUDA compiler (nvcc, ptxas, headers; no driver) from Debian's own packages into a folder, as any user,
# changing nothing on the system:  native/fetch-nvcc.sh FOLDER   leaves FOLDER/nvcc, FOLDER/ptxas, FOLDER/cuobjdump and
# FOLDER/usr/include.  About 250 MB.
# apt works on a private state with one source: the mirror this machine already uses, in the release that has CUDA 12.4.
set -euo pipefail
folder=$(mkdir -p "$1" && cd "$1" && pwd)
release=trixie
give_up() { echo "== PTX skipped: $*; set CUDA_HOME or put nvcc on PATH to have it"; exit 1; }
{ command -v apt-get && command -v dpkg-deb && grep '^ID=debian' /etc/os-release; } > /dev/null ||
  give_up "no nvcc, and it can be fetched on Debian only"
[ "$(dpkg --print-architecture)" = amd64 ] || give_up "no nvcc, and it can be fetched for amd64 only"

state=$(mktemp -d)
trap 'rm -rf "$state"' EXIT
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' |
  grep -E '/debian/?$' | sort -u | head -n 1) || true
[ -n "$mirror" ] || give_up "apt knows no Debian mirror"
mkdir -p "$state"/{lists/partial,cache/archives/partial,sources}
cat > "$state/sources/cuda.sources" <<EOF
Types: deb
URIs: $mirror
Suites: $release
Components: main contrib non-free
Architectures: amd64
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
EOF
private=(-o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$state/sources" -o Dir::State::Lists="$state/lists"
  -o Dir::Cache="$state/cache" -o APT::Sandbox::User="$(id -un)")
echo "== fetching the CUDA compiler into $folder"
apt-get "${private[@]}" -qq update || give_up "the package lists could not be read"
(cd "$state" && apt-get "${private[@]}" -qq download nvidia-cuda-toolkit nvidia-cuda-dev libnvvm4 libcu++-dev) ||
  give_up "the packages could not be fetched"
for package in nvidia-cuda-toolkit libnvvm4 libcu++-dev; do dpkg-deb -x "$state/$package"_*.deb "$folder"; done
# Headers alone: the libraries are 2 GB that nobody needs here.
dpkg-deb --fsys-tarfile "$state"/nvidia-cuda-dev_*.deb | tar x -C "$folder" --wildcards './usr/include*'

toolkit=$folder/usr/lib/nvidia-cuda-toolkit
rm -f "$toolkit/bin/nvcc.profile"   # a link into /etc; nvcc needs to know only where its device library is
printf 'NVVMIR_LIBRARY_DIR = %s/libdevice\n' "$toolkit" > "$toolkit/bin/nvcc.profile"
for tool in ptxas cuobjdump nvcc; do   # nvcc last: it is what says the folder is complete
  program=$toolkit/bin/$tool; [ -x "$program" ] || program=$folder/usr/bin/$tool
  cat > "$folder/$tool.new" <<EOF
#!/bin/sh
export PATH="$toolkit/bin:$folder/usr/bin:\$PATH" LD_LIBRARY_PATH="$folder/usr/lib/x86_64-linux-gnu"
exec $program "\$@"
EOF
  chmod +x "$folder/$tool.new"
  mv "$folder/$tool.new" "$folder/$tool"
done
