using System.Globalization;
using System.Runtime.CompilerServices;
using Spectral.Bench.Counting;
using Spectral.Kernels;

namespace Spectral.Cli.Tests.Bench;

/// <summary>
/// The table of bounds and targets: what an H200's data sheet and the targets say by arithmetic, and that
/// docs/performance.md shows the table of the present kernels.
/// </summary>
public sealed class TargetTableTests
{
    // NVIDIA's data sheet of the H200 SXM: bytes and dense bf16 operations per microsecond.
    private const double Memory = 4.8e6;
    private const double Tensor = 989.5e6;

    // x and R in bf16 are read, h is written in F32.
    private const double ProjectBytes = (2.0 * 8192 * 4096) + (2.0 * 16 * 4096) + (4.0 * 8192 * 16);

    private string[][] _rows = [];

    [OneTimeSetUp]
    public void Count()
    {
        if (KernelLibrary.Architectures.Count == 0)
            Assert.Ignore("this build has no PTX");
        _rows = Rows(TargetTable.Lines(CpuProfile.H200));
    }

    [OneTimeTearDown]
    public void LeaveTheProfile() => Device.Cpu(new CpuDeviceOptions { Profile = CpuProfile.None }).Dispose();

    [Test]
    public void EveryTargetWithABoundHasRows() =>
        Assert.That(
            _rows.Select(row => row[0]).Distinct(),
            Is.EqualTo(new[] { "1", "2", "3", "4", "5", "6", "7", "8", "9", "12" })
        );

    // What a target allows: its ratio to the plain product, 2 M N K operations, or to copying its bytes.
    [TestCase("1", "forward 4096->4096 M=8192 r=16", 1.06 * 2 * 8192 * 4096 * 4096 / Tensor)]
    [TestCase("2", "backward 4096->4096 M=8192 r=16", 1.12 * 2 * 8192 * 4096 * 4096 / Tensor)]
    [TestCase("3", "rescale-backward 4096->14336 M=8192 r=16", 1.06 * 2 * 8192 * 4096 * 14336 / Tensor)]
    [TestCase("6", "main-loop y 4096->14336 M=8192 r=16", 2.0 * 8192 * 4096 * 14336 / Tensor / 0.97)]
    [TestCase("7", "passes project 4096->4096 M=8192 r=16", ProjectBytes / Memory / 0.85)]
    // W in bf16 is read and written.
    [TestCase("9", "merge 4096 x 4096 r=16", 2.0 * 2 * 4096 * 4096 / Memory / 0.85)]
    public void TheAllowedTimeIsTheTargetsArithmetic(string target, string work, double microseconds)
    {
        string[][] rows = [.. _rows.Where(row => row[0] == target && row[1] == work)];
        Assert.That(rows, Is.Not.Empty);
        foreach (string[] row in rows)
        {
            Assert.That(Number(row[6]), Is.EqualTo(microseconds).Within(1).Percent, row[2]);
            Assert.That(Number(row[7]), Is.EqualTo(Number(row[5]) / microseconds).Within(0.015), row[2]);
        }
    }

    [Test]
    public void ABoundIsTheLargerOfMemoryAndChip()
    {
        foreach (string[] row in _rows)
        {
            double chip = Number(row[4].Split(' ')[0]);
            Assert.That(Number(row[5]), Is.EqualTo(Math.Max(Number(row[3]), chip)).Within(0.05), row[1]);
        }
    }

    /// <summary>
    /// Another nvcc may take other instructions, so that what they cost may differ a little; all else is arithmetic.
    /// </summary>
    [Test]
    public void TheDocumentShowsTheTable()
    {
        string[][] shown = Documented();
        Assert.That(
            shown.Select(row => (row[0], row[1], row[2], row[3], row[6])),
            Is.EqualTo(_rows.Select(row => (row[0], row[1], row[2], row[3], row[6])))
        );
        foreach ((string[] was, string[] now) in shown.Zip(_rows))
            Assert.That(Number(was[5]), Is.EqualTo(Number(now[5])).Within(3).Percent, $"{now[1]} {now[2]}");
    }

    private static string[][] Documented([CallerFilePath] string path = "")
    {
        string document = Path.Combine(Path.GetDirectoryName(path)!, "../../../docs/performance.md");
        if (!File.Exists(document))
            Assert.Ignore("the source tree is not on this machine");
        return Rows(
            File.ReadLines(document)
                .SkipWhile(line => !line.StartsWith("| target | on H200 |", StringComparison.Ordinal))
                .TakeWhile(line => line.Length > 0)
        );
    }

    /// <summary>The cells of the lines below the head of a table.</summary>
    private static string[][] Rows(IEnumerable<string> lines) =>
        [.. lines.Skip(2).Select(line => line.Trim('|').Split('|', StringSplitOptions.TrimEntries))];

    private static double Number(string text) => double.Parse(text, CultureInfo.InvariantCulture);
}
