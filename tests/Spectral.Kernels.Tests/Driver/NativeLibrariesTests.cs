using System.Runtime.InteropServices;
using Spectral.Kernels.Driver;

namespace Spectral.Kernels.Tests.Driver;

/// <summary>Where libraries are looked for, and what a missing one is called.</summary>
[NonParallelizable]
public sealed class NativeLibrariesTests
{
    private string _folder = null!;

    [SetUp]
    public void MakeFolder() => _folder = Directory.CreateTempSubdirectory("spectral-libraries-").FullName;

    [TearDown]
    public void DeleteFolder() => Directory.Delete(_folder, recursive: true);

    [TestCase("VIRTUAL_ENV")]
    [TestCase("CONDA_PREFIX")]
    public void PythonPackagesOfAnActiveEnvironmentAreSearched(string variable) => FoundWith(variable, _folder);

    [Test]
    public void PythonPackagesOfAPythonOnThePathAreSearched()
    {
        string bin = Directory.CreateDirectory(Path.Combine(_folder, "bin")).FullName;
        File.WriteAllText(Path.Combine(bin, "python3"), "");
        FoundWith("PATH", bin);
    }

    [Test]
    public void GivenFoldersComeFirst()
    {
        string? before = Environment.GetEnvironmentVariable(NativeLibraries.PathVariable);
        try
        {
            Environment.SetEnvironmentVariable(
                NativeLibraries.PathVariable,
                $"{_folder}{Path.PathSeparator}/elsewhere"
            );
            IReadOnlyList<string> folders = NativeLibraries.SearchFolders();
            Assert.That(
                folders.SkipWhile(folder => folder != _folder).Take(2),
                Is.EqualTo(new[] { _folder, "/elsewhere" })
            );
            Assert.That(
                folders.ToList().IndexOf(_folder),
                Is.LessThan(folders.ToList().IndexOf(AppContext.BaseDirectory))
            );
        }
        finally
        {
            Environment.SetEnvironmentVariable(NativeLibraries.PathVariable, before);
        }
    }

    [Test]
    public void OnWindowsBothFoldersOfAToolkitAreSearched() =>
        Assert.That(
            NativeLibraries.ToolkitFolders("cuda", windows: true),
            Is.EqualTo(new[] { Path.Combine("cuda", "bin", "x64"), Path.Combine("cuda", "bin") })
        );

    [TestCase(true, Architecture.X64, true, null)]
    [TestCase(true, Architecture.X64, false, "AVX2")]
    [TestCase(true, Architecture.Arm64, true, "Linux x64 only")]
    [TestCase(false, Architecture.X64, true, "Linux x64 only")]
    public void WhyTheCpuDeviceCannotRunIsSaid(bool linux, Architecture machine, bool instructions, string? reason)
    {
        string? obstacle = DriverApi.CpuObstacle(linux, machine, instructions);
        Assert.That(obstacle, reason is null ? Is.Null : Does.Contain(reason));
    }

    [Test]
    public void AMissingLibraryIsNamedWithTheVariableToSet() =>
        Assert.That(
            () => NativeLibraries.Load("the wanted one", "libnot-there.so.1", "libnot-there.so.0"),
            Throws
                .TypeOf<DllNotFoundException>()
                .With.Message.Contains("the wanted one")
                .And.Message.Contains("libnot-there.so.0")
                .And.Message.Contains(NativeLibraries.PathVariable)
        );

    [Test]
    public void AMissingFunctionIsNamed() =>
        Assert.That(
            () => NativeLibraries.Function(DriverApi.Cpu.Library, "the CPU device", "cuNoSuchCall"),
            Throws.TypeOf<EntryPointNotFoundException>().With.Message.Contains("cuNoSuchCall")
        );

    private void FoundWith(string variable, string value)
    {
        if (!OperatingSystem.IsLinux())
            Assert.Ignore("the layout of packages differs on this system");
        string packages = Path.Combine(_folder, "lib", "python3.12", "site-packages");
        string[] wanted =
        [
            .. new[] { "cublas", "cu13" }.Select(package =>
                Directory.CreateDirectory(Path.Combine(packages, "nvidia", package, "lib")).FullName
            ),
        ];
        Directory.CreateDirectory(Path.Combine(packages, "nvidia", "no-libraries"));
        string? before = Environment.GetEnvironmentVariable(variable);
        try
        {
            Environment.SetEnvironmentVariable(variable, value);
            Assert.That(
                NativeLibraries.SearchFolders().Where(folder => folder.StartsWith(_folder, StringComparison.Ordinal)),
                Is.EquivalentTo(wanted)
            );
        }
        finally
        {
            Environment.SetEnvironmentVariable(variable, before);
        }
    }
}
