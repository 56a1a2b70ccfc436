using System.Text.Json;
using System.Text.RegularExpressions;
using Spectral.Bench;
using Spectral.Cli.Tests.Support;
using Spectral.Kernels.Ops;

namespace Spectral.Cli.Tests.Bench;

/// <summary>
/// The event-timed benchmark as a process, on tiny shapes: every case runs, and the report is as
/// bench/results/README.md says.
/// </summary>
public sealed class SpectralBenchTests
{
    private static readonly string Folder = Directory.CreateTempSubdirectory("spectral-bench-").FullName;
    private static Outcome _run = null!;
    private static JsonElement _report;

    [OneTimeSetUp]
    public void RunOnce()
    {
        string file = Path.Combine(Folder, "smoke.json");
        _run = CommandLine.RunBench("--smoke", "--device", "cpu", "--json", file).Succeeded();
        _report = JsonDocument.Parse(File.ReadAllText(file)).RootElement;
    }

    [OneTimeTearDown]
    public void Clean() => Directory.Delete(Folder, recursive: true);

    [Test]
    public void EveryCaseIsRunAndRight()
    {
        string[] cases = [.. Results().Select(result => result.GetProperty("case").GetString()!).Distinct()];
        IEnumerable<string> timed = BenchCase.All.Where(found => !found.IsOnlyCounted).Select(found => found.Name);
        Assert.That(cases, Is.EquivalentTo(timed.Prepend("ceiling")));
        foreach (JsonElement result in Results())
        {
            Assert.That(
                result.GetProperty("status").GetString(),
                Is.EqualTo("ok").Or.EqualTo("unavailable"),
                result.ToString()
            );
        }
    }

    [Test]
    public void EveryTargetHasACase() =>
        Assert.That(BenchCase.All.Select(found => found.Target).Distinct(), Is.SupersetOf(Enumerable.Range(1, 12)));

    [Test]
    public void EveryLowRankVariantIsTimed() =>
        Assert.That(
            Results()
                .Where(result => result.GetProperty("case").GetString() == "forward")
                .Select(result => result.GetProperty("variant").GetString()),
            Is.SupersetOf(Enum.GetValues<LowRankVariant>().Select(LowRankLinear.NameOf))
        );

    [Test]
    public void TheBaselinesAreTimedWithBothLibraries()
    {
        foreach (string name in new[] { "forward", "backward", "rescale-backward" })
        {
            foreach (string baseline in new[] { "plain", "A", "B" })
            {
                JsonElement[] twins =
                [
                    .. Results()
                        .Where(result =>
                            result.GetProperty("case").GetString() == name
                            && result.GetProperty("variant").GetString() is { } variant
                            && (variant == baseline || variant == baseline + "-lt")
                        ),
                ];
                Assert.That(
                    twins.Select(result => result.GetProperty("status").GetString()),
                    Is.EqualTo(new[] { "ok", "ok" }),
                    $"{name} {baseline}"
                );
                Assert.That(
                    twins.Select(result => result.GetProperty("role").GetString()),
                    Is.All.EqualTo(baseline.ToLowerInvariant())
                );
            }
        }
    }

    [Test]
    public void TheReportHasTheDocumentedFields()
    {
        string text = File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "bench-results.md"));
        string[] tables = text.Split("Each result has all of these");
        Assert.That(_report.EnumerateObject().Select(field => field.Name), Is.EquivalentTo(Fields(tables[0])));
        foreach (JsonElement result in Results())
            Assert.That(result.EnumerateObject().Select(field => field.Name), Is.EquivalentTo(Fields(tables[1])));
        Assert.That(_report.GetProperty("complete").GetBoolean());
    }

    [Test]
    public void ATimedResultIsConsistent()
    {
        foreach (JsonElement result in Results().Where(result => result.GetProperty("status").GetString() == "ok"))
        {
            double median = result.GetProperty("median_us").GetDouble();
            Assert.That(
                median,
                Is.GreaterThan(0)
                    .And.InRange(result.GetProperty("p10_us").GetDouble(), result.GetProperty("p90_us").GetDouble()),
                result.ToString()
            );
        }
        // Ratios are to the fastest of the plain ones, so the least of theirs is 1.
        foreach (
            IGrouping<(string?, string?), JsonElement> shape in Results()
                .Where(result =>
                    result.GetProperty("role").GetString() == "plain"
                    && result.GetProperty("status").GetString() == "ok"
                )
                .GroupBy(result => (result.GetProperty("case").GetString(), result.GetProperty("shape").GetString()))
        )
        {
            Assert.That(
                shape.Min(result => result.GetProperty("ratio_to_plain").GetDouble()),
                Is.EqualTo(1),
                shape.Key.ToString()
            );
        }
    }

    [Test]
    public void TheCpuDeviceIsNeverTakenForAGpu()
    {
        const string Warning = "CPU device: not a GPU measurement";
        Assert.That(_run.Output.Split('\n').Count(line => line.Contains(Warning)), Is.EqualTo(2));
        Assert.That(_report.GetProperty("device").GetProperty("warning").GetString(), Is.EqualTo(Warning));
        Assert.That(_report.GetProperty("device").GetProperty("kind").GetString(), Is.EqualTo("cpu"));
    }

    [Test]
    public void TheTableIsAligned()
    {
        string[] lines = _run.Output.Split('\n');
        string header = lines.Single(line => line.StartsWith("case shape", StringComparison.Ordinal));
        string plain = lines.First(line => line.StartsWith("forward ", StringComparison.Ordinal));
        Assert.That(
            plain.IndexOf("plain", StringComparison.Ordinal),
            Is.EqualTo(header.IndexOf("variant", StringComparison.Ordinal))
        );
    }

    [TestCase("--filter", "nothing-like-it", "nothing-like-it")]
    [TestCase("--device", "gpu", "auto, cpu, cpu-ptx, cuda or cuda:N")]
    [TestCase("--no-such-option", "x", "--no-such-option")]
    public void BadUsageIsNamed(string option, string value, string named) =>
        CommandLine.RunBench(option, value).Refused(2, named);

    [Test]
    public void ListRunsNothing()
    {
        Outcome listed = CommandLine.RunBench("--list", "--device", "cpu", "--filter", "svd").Succeeded();
        Assert.That(
            listed.Output,
            Does.Contain("4096 x 4096 k=64").And.Contain("224 layers").And.Not.Contain("forward")
        );
    }

    private static IEnumerable<JsonElement> Results() => _report.GetProperty("results").EnumerateArray();

    private static string[] Fields(string table) =>
        [.. Regex.Matches(table, @"^\| `(\w+)` \|", RegexOptions.Multiline).Select(match => match.Groups[1].Value)];
}
