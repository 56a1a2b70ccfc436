using System.Text.Json;
using Spectral.Cli.Tests.Support;
using Spectral.Kernels;

namespace Spectral.Cli.Tests.Bench;

/// <summary><c>spectral-bench modes</c> as a process: what PTX costs beside the kernels built from source.</summary>
public sealed class ModesTests
{
    [Test]
    public void EachScenarioIsTimedInThreeModes()
    {
        if (KernelLibrary.Architectures.Count == 0)
            Assert.Ignore("this build has no PTX");
        string file = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        string[] lines;
        JsonElement report;
        try
        {
            lines = CommandLine
                .RunBench("modes", "--filter", "merge 256", "--rounds", "2", "--target", "sm_80", "--json", file)
                .Succeeded()
                .Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
            report = JsonDocument.Parse(File.ReadAllText(file)).RootElement;
        }
        finally
        {
            File.Delete(file);
        }
        Assert.That(lines[0], Does.Match(@"modules of sm_80 load in \d+ ms$"));
        Assert.That(lines[^1], Does.StartWith("PTX at most 4 x: "));
        JsonElement[] variants = [.. report.GetProperty("variants").EnumerateArray()];
        Assert.That(
            variants.SelectMany(variant =>
                variant.GetProperty("kernels").EnumerateArray().Select(of => of.GetString())
            ),
            Has.Member("low_rank_merge_bf16")
        );
        Assert.That(lines, Has.Length.EqualTo(variants.Length + 3));
        foreach (JsonElement variant in variants)
        {
            double source = variant.GetProperty("source_us").GetProperty("least").GetDouble();
            double ptx = variant.GetProperty("ptx_us").GetProperty("least").GetDouble();
            Assert.That(source, Is.GreaterThan(0));
            Assert.That(ptx, Is.LessThanOrEqualTo(variant.GetProperty("ptx_us").GetProperty("median").GetDouble()));
            Assert.That(variant.GetProperty("ptx_ratio").GetDouble(), Is.EqualTo(ptx / source).Within(1e-9));
            Assert.That(variant.GetProperty("counted_ratio").GetDouble(), Is.GreaterThan(0));
        }
    }

    [TestCase("--filter", "nothing like it", "matches nothing")]
    [TestCase("--rounds", "0", "expected a number from 1")]
    [TestCase("--target", "sm_10", "expected sm_80 or sm_90a")]
    public void WhatCannotBeRunIsRefused(string option, string value, string named) =>
        CommandLine.RunBench("modes", option, value).Refused(2, named);
}
