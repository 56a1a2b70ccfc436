#!/usr/bin/env pwsh
# Twin of build.sh for Windows:  ./build.ps1 [build | run | test [--full] | bench | clean] [arguments]
# The CPU device is Linux only: here kernels are built as PTX for a GPU, and what needs the CPU device is skipped.
param([string]$Verb = 'build', [Parameter(ValueFromRemainingArguments)][string[]]$Rest = @())
$ErrorActionPreference = 'Stop'
Set-Location $PSScriptRoot
$env:DOTNET_CLI_TELEMETRY_OPTOUT = '1'
$env:DOTNET_NOLOGO = '1'
$exe = if ($IsWindows) { '.exe' } else { '' }

function Say($text) { Write-Host "== $text" }
function Fail($text) {
  Write-Host "build.ps1: $text"
  exit 1
}
# The arguments are one array: PowerShell would split a bare -clp:NoSummary in two.
function Run([string]$Program, [string[]]$Arguments) {
  & $Program @Arguments
  if ($LASTEXITCODE -ne 0) { exit $LASTEXITCODE }
}
function Require($command, $what) {
  if (-not (Get-Command $command -ErrorAction SilentlyContinue)) { Fail "$what is missing (command $command)" }
}
function Stage($title, [scriptblock]$work) {
  $watch = [Diagnostics.Stopwatch]::StartNew()
  & $work
  Say ('{0,-40}{1,5:N0} s' -f $title, $watch.Elapsed.TotalSeconds)
}

function Find-Nvcc {
  foreach ($root in $env:CUDA_HOME, $env:CUDA_PATH) {
    if ($root -and (Test-Path "$root/bin/nvcc$exe")) { return "$root/bin/nvcc$exe" }
  }
  return (Get-Command nvcc -ErrorAction SilentlyContinue).Source
}

# CMake drives the Linux build; PTX alone is one nvcc call per kernel file and target.
function Ptx {
  $nvcc = Find-Nvcc
  if (-not $nvcc) {
    Say 'PTX skipped: no nvcc in CUDA_HOME, CUDA_PATH or PATH; without it no device can run here'
    return
  }
  foreach ($target in '80', '90a') {
    $folder = New-Item -ItemType Directory -Force "artifacts/ptx/sm_$target"
    foreach ($kernel in Get-ChildItem native/kernels/*.cu) {
      if ($target -eq '80' -and $kernel.BaseName.EndsWith('_sm90')) { continue } # these use Hopper's instructions
      $ptx = Join-Path $folder "$($kernel.BaseName).ptx"
      Run $nvcc @(
        '-std=c++17', '-Werror', 'all-warnings', '-Inative/device',
        "-gencode=arch=compute_$target,code=compute_$target", '-ptx', $kernel.FullName, '-o', $ptx
      )
    }
  }
}
function Native {
  Say 'CPU device skipped: build.sh builds it, on Linux x64 only'
  Stage 'PTX' { Ptx }
}
function Managed($project) {
  Stage "$project" { Run dotnet @('build', $project, '-c', 'Release', '-v', 'quiet', '-clp:NoSummary') }
}

function Test {
  $full = $Rest -contains '--full'
  if ($full) { $env:SPECTRAL_FULL = '1' }
  $arguments = @($Rest | Where-Object { $_ -ne '--full' })
  $failed = 0
  foreach ($name in 'Training', 'Kernels', 'Cli') {
    $program = "tests/Spectral.$name.Tests/bin/Release/net10.0/Spectral.$name.Tests$exe"
    $options = @('--settings', 'tests/brief.runsettings', '--output', 'Minimal', '--progress', 'off', '--no-ansi')
    & $program @options --ignore-exit-code 8 @arguments
    if ($LASTEXITCODE -ne 0) { $failed = 1 }
  }
  if (-not $arguments) {
    Say 'kernels under sanitizers, in shuffled schedules and broken on purpose skipped: they run on Linux only'
  }
  exit $failed
}

function Bench {
  Managed bench/Spectral.Bench
  Managed bench/Spectral.Benchmarks
  $part = if ($Rest) { $Rest[0] } else { 'all' }
  $arguments = @($Rest | Select-Object -Skip 1)
  if ($part -notin 'device', 'host', 'tokenizers', 'all') { Fail "bench: '$part', expected device, host or tokenizers" }
  if ($part -in 'device', 'all') { Run "artifacts/bin/spectral-bench$exe" $arguments }
  if ($part -eq 'device') { return }
  if ($part -eq 'tokenizers') { $arguments = @('tokenizers') + $arguments }
  elseif (-not $arguments) { $arguments = @('--filter=*') }
  Run dotnet (@('run', '-c', 'Release', '--no-build', '--project', 'bench/Spectral.Benchmarks', '--') + $arguments)
}

Require dotnet 'the .NET 10 SDK'
Require node 'Node.js 18 or newer' # node and npm bundle the script of the reports
Require npm 'npm'
switch ($Verb) {
  'build' {
    Native
    Managed Kernels.sln
    Say "built: artifacts/bin/spectral$exe"
  }
  'run' {
    Native
    Managed src/Spectral.Cli
    $options = -split (Get-Content -Raw samples/finetune.args)
    Run "artifacts/bin/spectral$exe" (@('finetune') + $options + @('--out', 'artifacts/run', '--overwrite') + $Rest)
  }
  'test' {
    Native
    Managed Kernels.sln
    Test
  }
  'bench' {
    Native
    Bench
  }
  'clean' {
    Remove-Item -Recurse -Force artifacts -ErrorAction SilentlyContinue
    Get-ChildItem src, tests, bench -Recurse -Directory -Include bin, obj, node_modules | Remove-Item -Recurse -Force
  }
  { $_ -in 'check', 'pack', 'bundle' } { Fail "$Verb runs on Linux, by build.sh" }
  default { Fail "unknown verb '$Verb'; expected build, run, test [--full], bench or clean" }
}
