#!/usr/bin/env pwsh
# Twin of build.sh for Windows:  ./build.ps1 [build | run | test [--full] | bench | bundle | clean] [arguments]
# The CPU device is Linux only: here kernels are built as PTX for a GPU, and what needs the CPU device is reported as skipped.
param([string]$Verb = 'build', [Parameter(ValueFromRemainingArguments = $true)][string[]]$Rest = @())
$ErrorActionPreference = 'Stop'
Set-Location $PSScriptRoot
if ($IsLinux) { & ./build.sh $Verb @Rest; exit $LASTEXITCODE }
$env:DOTNET_CLI_TELEMETRY_OPTOUT = '1'; $env:DOTNET_NOLOGO = '1'
function Say($text) { Write-Host "== $text" }
function Run($program) { & $program @args; if ($LASTEXITCODE -ne 0) { exit $LASTEXITCODE } }
function Require($command, $what) { if (-not (Get-Command $command -ErrorAction SilentlyContinue)) { Write-Error "build.ps1: $what is missing (command $command)"; exit 1 } }

function Native {
  $nvcc = if ($env:CUDA_HOME -and (Test-Path "$env:CUDA_HOME/bin/nvcc.exe")) { "$env:CUDA_HOME/bin/nvcc.exe" }
          elseif ($found = Get-Command nvcc -ErrorAction SilentlyContinue) { $found.Source }
          elseif ($env:CUDA_PATH -and (Test-Path "$env:CUDA_PATH/bin/nvcc.exe")) { "$env:CUDA_PATH/bin/nvcc.exe" }
  Say 'CPU device skipped: it runs on Linux x64 only'
  if (-not $nvcc) { Say 'PTX skipped: no nvcc in CUDA_HOME, PATH or CUDA_PATH; without it no device can run here'; return }
  foreach ($arch in 'sm_80', 'sm_90a') {   # CMake drives the Linux build; PTX alone is one nvcc call per kernel file
    $out = New-Item -ItemType Directory -Force "artifacts/ptx/$arch"
    foreach ($kernel in Get-ChildItem native/kernels/*.cu) {
      $ptx = Join-Path $out "$($kernel.BaseName).ptx"
      Run $nvcc -ptx -std=c++17 -O3 "-gencode=arch=$($arch.Replace('sm_', 'compute_')),code=$($arch.Replace('sm_', 'compute_'))" -Inative/device $kernel.FullName -o $ptx
    }
  }
}
function Managed { Run dotnet build @args -c Release -v quiet -clp:NoSummary }

Require dotnet 'the .NET 10 SDK'
Require node 'Node.js 18 or newer'; Require npm 'npm'   # they bundle the script of the reports
switch ($Verb) {
  'build' { Native; Managed Kernels.sln; Say 'built: artifacts/bin/spectral.exe' }
  'run' { Native; Managed src/Spectral.Cli
    $options = -split (Get-Content -Raw samples/finetune.args)
    Run artifacts/bin/spectral.exe finetune @options --out artifacts/run --overwrite @Rest }
  'test' {
    if ($Rest -contains '--full') { $env:SPECTRAL_FULL = '1'; $Rest = @($Rest | Where-Object { $_ -ne '--full' }) }
    Native; Managed Kernels.sln; Run dotnet test --solution Kernels.sln -c Release --no-build @Rest
    if (-not $Rest) { Say 'kernels under sanitizers, in shuffled schedules and broken on purpose skipped: they run on Linux only' } }
  'bench' { Native; Managed bench/Spectral.Bench; Managed bench/Spectral.Benchmarks
    $part = if ($Rest) { $Rest[0] } else { 'all' }; $Rest = @($Rest | Select-Object -Skip 1)
    if ($part -notin 'device', 'host', 'tokenizers', 'all') {
      Write-Error "build.ps1: bench: '$part', expected device, host or tokenizers"; exit 1 }
    if ($part -in 'device', 'all') { Run artifacts/bin/spectral-bench.exe @Rest }
    if ($part -eq 'tokenizers') { $Rest = @('tokenizers') + $Rest } elseif (-not $Rest) { $Rest = @('--filter=*') }
    if ($part -ne 'device') { Run dotnet run -c Release --no-build --project bench/Spectral.Benchmarks -- @Rest } }
  'bundle' { Say 'bundle skipped: it is made on Linux, for Linux' }
  'clean' {
    Remove-Item -Recurse -Force artifacts -ErrorAction SilentlyContinue
    Get-ChildItem src, tests, bench -Recurse -Directory -Include bin, obj, node_modules | Remove-Item -Recurse -Force }
  default { Write-Error "build.ps1: unknown verb '$Verb'; expected build, run, test [--full], bench, bundle or clean"; exit 1 }
}
