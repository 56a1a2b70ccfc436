using System.Diagnostics;
using Spectral.Tests.Support;

namespace Spectral.Kernels.Tests;

/// <summary>
/// What the build makes of ptxas' report (<c>native/ptx-report.cmake</c>): it keeps the numbers of each kernel, and
/// fails on spills and on products that ptxas serialises. A script stands for ptxas.
/// </summary>
public sealed class PtxReportTests
{
    private const string Sound = """
        ptxas info    : 0 bytes gmem
        ptxas info    : Compiling entry function 'first' for 'sm_80'
        ptxas info    : Function properties for first
            16 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
        ptxas info    : Used 40 registers, used 1 barriers, 2688 bytes smem, 400 bytes cmem[0]
        ptxas info    : Compiling entry function 'second' for 'sm_80'
        ptxas info    : Function properties for second
            0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
        ptxas info    : Used 12 registers, 360 bytes cmem[0]
        """;

    private string _folder = null!;

    [SetUp]
    public void Prepare()
    {
        if (!OperatingSystem.IsLinux())
            Assert.Ignore("the stand-in for ptxas is a shell script");
        _folder = Directory.CreateTempSubdirectory("spectral-report").FullName;
    }

    [TearDown]
    public void CleanUp()
    {
        if (Directory.Exists(_folder))
            Directory.Delete(_folder, recursive: true);
    }

    [Test]
    public void KeepsTheNumbersOfEachKernelAndWritesThemBehindThePtxOnce()
    {
        string[] lines = ["first 40 16 2688 1", "second 12 0 0 0"];
        for (int round = 0; round < 2; round++)
        {
            Assert.That(Report(Sound), Is.Empty);
            Assert.That(File.ReadAllLines(Path.Combine(_folder, "k.resources")), Is.EqualTo(lines));
            Assert.That(
                File.ReadAllLines(Path.Combine(_folder, "k.ptx")),
                Is.EqualTo([".version 8.4", .. lines.Select(line => $"// ptxas: {line}")])
            );
        }
    }

    [TestCase("0 bytes spill stores, 0 bytes spill loads", "8 bytes spill stores, 0 bytes spill loads")]
    [TestCase("0 bytes spill stores, 0 bytes spill loads", "0 bytes spill stores, 4 bytes spill loads")]
    public void FailsOnSpills(string sound, string spilled)
    {
        int last = Sound.LastIndexOf(sound, StringComparison.Ordinal);
        string said = Report(Sound[..last] + spilled + Sound[(last + sound.Length)..]);
        Assert.That(said, Does.Contain("second of").And.Contain("spills registers"));
    }

    [Test]
    public void FailsOnSerialisedProducts()
    {
        const string Warning =
            "ptxas info    : (C7510) Potential Performance Loss: wgmma.mma_async instructions are serialized\n";
        Assert.That(Report(Warning + Sound), Does.Contain("ptxas serialises wgmma in").And.Contain("C7510"));
    }

    [Test]
    public void FailsWhereAKernelIsMissing() =>
        Assert.That(
            Report(Sound.Replace("Used 12 registers", "Uses registers", StringComparison.Ordinal)),
            Does.Contain("ptxas reports 1 of 2 kernels")
        );

    [Test]
    public void FailsWherePtxasDoes() =>
        Assert.That(
            Report("ptxas fatal   : Ptx assembly aborted", status: 255),
            Does.Contain("ptxas does not assemble").And.Contain("assembly aborted")
        );

    /// <summary>Runs the build's script over what ptxas says, and returns its error; empty if it passes.</summary>
    private string Report(string said, int status = 0)
    {
        string ptxas = Path.Combine(_folder, "ptxas");
        string ptx = Path.Combine(_folder, "k.ptx");
        File.WriteAllText(Path.Combine(_folder, "said"), said + "\n");
        File.WriteAllText(ptxas, $"#!/bin/sh\ncat '{_folder}/said' >&2\nexit {status}\n");
        if (OperatingSystem.IsLinux())
            File.SetUnixFileMode(ptxas, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        if (!File.Exists(ptx))
            File.WriteAllText(ptx, ".version 8.4\n");
        var start = new ProcessStartInfo("cmake")
        {
            RedirectStandardError = true,
            ArgumentList =
            {
                $"-DPTXAS={ptxas}",
                "-DTARGET=sm_80",
                $"-DPTX={ptx}",
                $"-DREPORT={_folder}/k.resources",
                "-P",
                Path.Combine(Repository.Root, "native", "ptx-report.cmake"),
            },
        };
        using Process process = Start(start);
        string error = process.StandardError.ReadToEnd();
        process.WaitForExit();
        Assert.That(error.Length > 0, Is.EqualTo(process.ExitCode != 0), error);
        // CMake breaks its messages into lines
        return string.Join(' ', error.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
    }

    private static Process Start(ProcessStartInfo start)
    {
        try
        {
            return Process.Start(start)!;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            Assert.Ignore("there is no cmake on this machine");
            throw;
        }
    }
}
