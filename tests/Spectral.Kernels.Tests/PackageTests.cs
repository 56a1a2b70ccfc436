using System.Diagnostics;
using System.IO.Compression;
using Spectral.Kernels.Driver;
using Spectral.Tests.Support;

namespace Spectral.Kernels.Tests;

/// <summary>
/// The NuGet package as a stranger gets it: packed, restored into a fresh project from nowhere else, built and run.
/// </summary>
public sealed class PackageTests
{
    private const string Program = """
        using Spectral.Kernels;
        using Spectral.Kernels.Ops;
        using Device device = Device.Cpu();
        using Tensor a = Tensor.From(device, new[] { 1f, 2, 3, 4 }, (2, 2)), c = Tensor.Empty(device, (2, 2));
        Gemm.Run(a, a, c);
        Console.WriteLine($"{string.Join(' ', c.ToArray())} | {string.Join(' ', KernelLibrary.Architectures)}");
        """;

    private const string Project = """
        <Project Sdk="Microsoft.NET.Sdk">
          <PropertyGroup>
            <OutputType>Exe</OutputType>
            <TargetFramework>net10.0</TargetFramework>
            <ImplicitUsings>enable</ImplicitUsings>
            <RestoreSources>$(MSBuildThisFileDirectory)packages</RestoreSources>
            <RestorePackagesPath>$(MSBuildThisFileDirectory)restored</RestorePackagesPath>
          </PropertyGroup>
          <ItemGroup>
            <PackageReference Include="Spectral.Kernels" Version="*" />
          </ItemGroup>
        </Project>
        """;

    [Test]
    public void AFreshProjectRunsOnThePackage()
    {
        if (!OperatingSystem.IsLinux())
            Assert.Ignore("the CPU device in the package runs on Linux only");
        if (KernelLibrary.Architectures.Count == 0)
            Assert.Ignore("built without nvcc: no PTX to pack");
        string source = Path.Combine(Repository.Root, "src", "Spectral.Kernels");
        string folder = Directory.CreateTempSubdirectory("spectral-package").FullName;
        try
        {
            string packages = Path.Combine(folder, "packages");
            Directory.CreateDirectory(packages);
            PtxTests.Run("dotnet", "pack", source, "-c", "Release", "--no-build", "-o", packages);
            using (ZipArchive package = ZipFile.OpenRead(Directory.GetFiles(packages, "*.nupkg").Single()))
            {
                Assert.That(
                    package.Entries.Select(entry => entry.FullName),
                    Is.SupersetOf(
                        new[]
                        {
                            "lib/net10.0/Spectral.Kernels.dll",
                            "lib/net10.0/Spectral.Kernels.xml",
                            $"runtimes/linux-x64/native/{DriverApi.CpuLibraryName}",
                            $"runtimes/linux-x64/native/{KernelLibrary.CpuImage}",
                            "README.md",
                        }
                    )
                );
            }

            File.WriteAllText(Path.Combine(folder, "fresh.csproj"), Project);
            File.WriteAllText(Path.Combine(folder, "Program.cs"), Program);
            string output = PtxTests.Run("dotnet", "run", "-c", "Release", "--project", folder);
            Assert.That(output, Does.Contain($"7 10 15 22 | {string.Join(' ', KernelLibrary.Architectures)}"));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [TestCase("PtxRoot", "no PTX")]
    [TestCase("NativeRoot", "no native libraries")]
    public void AnIncompletePackageIsRefused(string property, string reason)
    {
        string source = Path.Combine(Repository.Root, "src", "Spectral.Kernels");
        string folder = Directory.CreateTempSubdirectory("spectral-package").FullName;
        try
        {
            ProcessStartInfo start = new("dotnet")
            {
                RedirectStandardOutput = true,
                ArgumentList = { "pack", source, "-c", "Release", "--no-build", "-o", folder },
            };
            start.ArgumentList.Add($"-p:{property}={folder}/");
            using Process pack = Process.Start(start)!;
            string output = pack.StandardOutput.ReadToEnd();
            pack.WaitForExit();
            Assert.That(pack.ExitCode, Is.Not.Zero);
            Assert.That(output, Does.Contain($"Spectral.Kernels is not packed: {reason}"));
            Assert.That(Directory.GetFiles(folder), Is.Empty);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
