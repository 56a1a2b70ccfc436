#!/usr/bin/env bash
# The packages as a stranger gets them:  tools/try-packages.sh   (after ./build.sh pack)
# A project outside the repository refers to those in artifacts/packages, is built and trains the sample for two steps.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
version=$(sed -nE 's|.*<Version>(.*)</Version>.*|\1|p' Directory.Build.props)
cat > "$scratch/stranger.csproj" <<PROJECT
<Project Sdk="Microsoft.NET.Sdk">
  <PropertyGroup>
    <OutputType>Exe</OutputType>
    <TargetFramework>net10.0</TargetFramework>
    <ImplicitUsings>enable</ImplicitUsings>
    <Nullable>enable</Nullable>
    <RestoreAdditionalProjectSources>$root/artifacts/packages</RestoreAdditionalProjectSources>
    <RestorePackagesPath>$scratch/restored</RestorePackagesPath>
  </PropertyGroup>
  <ItemGroup>
    <PackageReference Include="Spectral.Training" Version="$version" />
  </ItemGroup>
</Project>
PROJECT
cp tests/Spectral.Training.Tests/EmbeddingExample.cs "$scratch/"
cat > "$scratch/Program.cs" <<'PROGRAM'
float loss = CustomLoop.Train(args[0], args[1], args[2], steps: 2);
return float.IsFinite(loss) && File.Exists(Path.Combine(args[2], "adapter_model.safetensors")) ? 0 : 1;
PROGRAM
dotnet run -c Release --project "$scratch/stranger.csproj" -- \
  "$root/samples/base-model" "$root/samples/train.jsonl" "$scratch/adapter"
