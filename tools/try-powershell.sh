#!/usr/bin/env bash
# Runs build.ps1 where there is no Windows:  tools/try-powershell.sh
# PowerShell comes as a .NET tool into .tools; the script builds PTX, if nvcc is found, and all projects.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -x .tools/pwsh ] || dotnet tool install PowerShell --version 7.6.9 --tool-path .tools > /dev/null
if [ -x .tools/cuda/nvcc ]; then
  export PATH="$PWD/.tools/cuda:$PATH" NVCC_APPEND_FLAGS="-I$PWD/.tools/cuda/usr/include"
fi
.tools/pwsh -NoProfile -File build.ps1 build
.tools/pwsh -NoProfile -File build.ps1 test --filter FullyQualifiedName~RopeTests
