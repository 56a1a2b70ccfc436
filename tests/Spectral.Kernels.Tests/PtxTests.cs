using System.Diagnostics;
using System.Text.RegularExpressions;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests;

/// <summary>
/// The embedded PTX as a product: it assembles for its target without spilling a register and with the static shared
/// memory that the descriptors say, and every entry the C# side names is in it.
/// </summary>
public sealed class PtxTests
{
    public static IEnumerable<TestCaseData> Modules()
    {
        foreach (string arch in KernelLibrary.Architectures)
        {
            foreach (string module in KernelLibrary.Ptx(arch).Keys.Order(StringComparer.Ordinal))
                yield return new TestCaseData(arch, module);
        }

        if (KernelLibrary.Architectures.Count == 0)
            yield return new TestCaseData("none", "none");
    }

    [TestCaseSource(nameof(Modules))]
    public void AssemblesWithoutSpillsAndAsDescribed(string arch, string module)
    {
        string ptxas = Tool("ptxas", arch);
        string folder = Directory.CreateTempSubdirectory("spectral-ptx").FullName;
        try
        {
            string source = Path.Combine(folder, module + ".ptx");
            File.WriteAllText(source, KernelLibrary.Ptx(arch, module));
            string report = Run(ptxas, $"-arch={arch}", "-v", source, "-o", Path.Combine(folder, module + ".cubin"));
            string[] spills = report.Split('\n').Where(line => line.Contains("bytes spill stores")).ToArray();
            Assert.That(spills, Is.Not.Empty.And.All.Contains(" 0 bytes spill stores, 0 bytes spill loads"), report);
            Assert.That(report, Does.Not.Contain("warning"), report);
            IEnumerable<string> described = KernelEntries
                .All.Where(entry => entry.Module == module)
                .SelectMany(entry => entry.Names.Select(name => $"{name}: {entry.StaticSharedBytes}"));
            Assert.That(StaticShared(report), Is.EquivalentTo(described), "static shared bytes");
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [TestCaseSource(typeof(KernelEntries), nameof(KernelEntries.Cases))]
    public void HasEveryEntry(KernelEntry described, string entry)
    {
        Tool("ptxas", KernelLibrary.Architectures.Count == 0 ? "none" : "any");
        string module = described.Module;
        foreach (
            string arch in KernelLibrary.Architectures.Where(arch =>
                arch == "sm_90a" || !module.EndsWith("_sm90", StringComparison.Ordinal)
            )
        )
        {
            Assert.That(KernelLibrary.Ptx(arch, module), Does.Contain($".entry {entry}("), $"{arch} PTX of {module}");
        }
    }

    /// <summary>
    /// The instructions we meant: products on the tensor cores of a warpgroup, bulk copies both ways, registers moved
    /// to the consumers.
    /// </summary>
    [Test]
    public void TheHopperKernelsUseWhatHopperHas()
    {
        string arch = KernelLibrary.Architectures.Contains("sm_90a") ? "sm_90a" : "none";
        string ptxas = Tool("ptxas", arch);
        string cuobjdump = Tool("cuobjdump", arch);
        string folder = Directory.CreateTempSubdirectory("spectral-sass").FullName;
        try
        {
            string source = Path.Combine(folder, "kernel.ptx");
            string cubin = Path.Combine(folder, "kernel.cubin");
            File.WriteAllText(source, KernelLibrary.Ptx(arch, "low_rank_linear_sm90"));
            Run(ptxas, $"-arch={arch}", source, "-o", cubin);
            string[] kernels = Run(cuobjdump, "-sass", cubin).Split("Function : ")[1..];
            Assert.That(kernels, Has.Length.EqualTo(12));
            foreach (string kernel in kernels)
            {
                string name = kernel[..kernel.IndexOf('\n')].Trim();
                string? narrow = new[] { "64", "128" }.FirstOrDefault(columns => name.Contains($"_{columns}_"));
                Assert.That(
                    kernel.Split("MEMBAR.ALL.GPU").Length - 1,
                    Is.LessThanOrEqualTo(2),
                    "memory barriers of the GPU: round the cluster's barriers at both ends, none in a loop"
                );
                foreach (
                    string instruction in new[]
                    {
                        $"HGMMA.64x{narrow ?? "256"}x16.F32.BF16",
                        "UTMALDG.2D",
                        "UTMASTG.2D",
                        "STSM.16",
                        "USETMAXREG",
                    }
                )
                {
                    Assert.That(kernel, Does.Contain(instruction), name);
                }
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Test]
    public void AnUnknownTargetIsNamedInTheError() =>
        Assert.That(() => KernelLibrary.Ptx("sm_10"), Throws.ArgumentException.With.Message.Contains("sm_10"));

    /// <summary>
    /// A CUDA tool where the build looks for it; without PTX or the tool the test is skipped and says so.
    /// </summary>
    internal static string Tool(string name, string arch)
    {
        if (arch == "none")
            Assert.Ignore("built without nvcc: no PTX to check");
        var folders = new List<string>();
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            folders.Add(Path.Combine(folder.FullName, ".tools", "cuda"));
        if (Environment.GetEnvironmentVariable("CUDA_HOME") is { Length: > 0 } home)
            folders.Insert(0, Path.Combine(home, "bin"));
        folders.AddRange((Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator));
        string? tool = folders.Select(folder => Path.Combine(folder, name)).FirstOrDefault(File.Exists);
        if (tool is null)
            Assert.Ignore($"{name} is in none of CUDA_HOME, PATH and .tools/cuda");
        return tool!;
    }

    /// <summary>Lists each entry with its static shared bytes, from what <c>ptxas -v</c> prints.</summary>
    private static IEnumerable<string> StaticShared(string report)
    {
        string entry = "";
        foreach (string line in report.Split('\n'))
        {
            if (Regex.Match(line, @"Compiling entry function '(\w+)'") is { Success: true } name)
                entry = name.Groups[1].Value;
            else if (line.Contains(" registers", StringComparison.Ordinal))
                yield return $"{entry}: {SharedIn(line)}";
        }
    }

    private static string SharedIn(string usage) =>
        Regex.Match(usage, @"(\d+) bytes smem") is { Success: true } shared ? shared.Groups[1].Value : "0"; // or unsaid

    internal static string Run(string program, params string[] arguments)
    {
        using Process process = Process.Start(
            new ProcessStartInfo(program, arguments) { RedirectStandardError = true, RedirectStandardOutput = true }
        )!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd() + errors.Result;
        process.WaitForExit();
        Assert.That(process.ExitCode, Is.Zero, output);
        return output;
    }
}
