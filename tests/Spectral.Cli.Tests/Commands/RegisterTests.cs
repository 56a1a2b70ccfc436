using System.Text.Json;
using Spectral.Cli.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Compression;
using Spectral.Training.Merging;
using Spectral.Training.Optim;
using Spectral.Training.Placement;

namespace Spectral.Cli.Tests.Commands;

/// <summary>Tests `methods --register`: its rows name what there is, and all that there is.</summary>
public sealed class RegisterTests : WorkFolder
{
    private const int Rows = 112;

    private static readonly Dictionary<string, IEnumerable<string>> Methods = new()
    {
        ["adapter"] = AdapterMethods.All.Select(method => method.Name),
        ["optimizer"] = OptimizerMethods.All.Select(method => method.Name),
        ["merge"] = MergeMethods.All.Select(method => method.Name),
        ["compress"] = CompressionMethods.All.Select(method => method.Name),
        ["place"] = PlacementMethods.All.Select(method => method.Name),
    };

    private static readonly Lazy<JsonElement> Register = new(() =>
        CommandLine.Run("methods", "--register", "--json").Succeeded().Json
    );

    private static JsonElement[] Systems => [.. Register.Value.GetProperty("systems").EnumerateArray()];

    [Test]
    public void EveryRowIsThereOnceInItsOrder() =>
        Assert.That(
            Systems.Take(Rows).Select(system => system.GetProperty("row").GetInt32()),
            Is.EqualTo(Enumerable.Range(1, Rows))
        );

    [Test]
    public void ARowNamesWhatThereIsOrSaysWhyThereIsNothing()
    {
        Dictionary<string, string> helps = [];
        foreach (JsonElement system in Systems)
        {
            (string name, string state) = (Text(system, "system"), Text(system, "state"));
            Assert.Multiple(() =>
            {
                Assert.That(Where(system).Any(), Is.EqualTo(state != "missing"), name);
                Assert.That(Text(system, "remark"), state == "present" ? Is.Not.Null : Is.Not.Empty, name);
            });
            foreach (string[] place in Where(system).Select(place => place.Split(' ')))
            {
                if (place is [var kind, var method] && Methods.TryGetValue(kind, out IEnumerable<string>? methods))
                {
                    Assert.That(methods, Does.Contain(method), name);
                    continue;
                }

                if (!helps.TryGetValue(place[0], out string? help))
                    helps.Add(place[0], help = CommandLine.Run(place[0], "--help").Succeeded().Output);
                Assert.That(help, Does.Contain(place[^1]), name);
            }
        }
    }

    [Test]
    public void EveryMethodIsInARow() =>
        Assert.That(
            Systems.SelectMany(Where),
            Is.SupersetOf(
                Methods
                    .SelectMany(kind => kind.Value.Select(method => $"{kind.Key} {method}"))
                    // What everything else is compared with.
                    .Except(["optimizer adamw"])
            )
        );

    [Test]
    public void TheTableEndsWithTheCounts()
    {
        string table = CommandLine.Run("methods", "--register").Succeeded().Output;
        Assert.That(table, Does.Contain("SpecLoRA (Weight Spectra)").And.Contain("adapter speclora"));
        string[] states = [.. Systems.Select(system => Text(system, "state"))];
        Assert.That(
            table,
            Does.Contain(
                $"{states.Count(state => state == "present")} systems are there, "
                    + $"{states.Count(state => state == "in part")} in part, "
                    + $"{states.Count(state => state == "missing")} missing"
            )
        );
        CommandLine.Run("methods", "--register", "--rank", "3").Refused(2, "--rank \"3\": --register does not read it");
    }

    private static string Text(JsonElement system, string key) => system.GetProperty(key).GetString()!;

    private static IEnumerable<string> Where(JsonElement system) =>
        system.GetProperty("as").EnumerateArray().Select(place => place.GetString()!);
}
