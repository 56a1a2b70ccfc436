using System.Globalization;
using System.Text.Json.Nodes;
using Spectral.Cli.Options;
using Spectral.Cli.Output;
using Spectral.Training.Compression;

namespace Spectral.Cli.Commands;

/// <summary><c>spectral compress --list</c>: the compression methods, or one of them in detail.</summary>
internal sealed class CompressionMethodList : MethodList<CompressionMethod>
{
    protected override IEnumerable<CompressionMethod> All => CompressionMethods.All;
    protected override string[] Columns => ["name", "options", "source"];
    protected override int FirstText => 1;
    protected override string Hint => "`spectral compress --list --method NAME` shows one method in detail";

    protected override string[] Row(CompressionMethod method) => [method.Name, Options(method), method.Origin];

    protected override IEnumerable<(string Name, string Value)> Details(CompressionMethod method) =>
        [
            ("input", method.NeedsModel ? "an adapter or a tuned model, and --model" : "an adapter"),
            ("options", Options(method)),
        ];

    protected override void AddFacts(JsonObject json, CompressionMethod method)
    {
        json["rank"] = method.Uses.HasFlag(CompressionUses.Rank);
        json["energy"] = method.Uses.HasFlag(CompressionUses.Energy) ? JsonOutput.Number(method.DefaultEnergy) : null;
        json["data"] = method.Uses.HasFlag(CompressionUses.Data);
        json["needs_model"] = method.NeedsModel;
    }

    private static string Options(CompressionMethod method)
    {
        List<string> options = [];
        if (method.Uses.HasFlag(CompressionUses.Rank))
            options.Add("--rank");
        if (method.Uses.HasFlag(CompressionUses.Energy))
            options.Add(string.Create(CultureInfo.InvariantCulture, $"--energy {method.DefaultEnergy}"));
        if (method.Uses.HasFlag(CompressionUses.Data))
            options.Add("--data");
        options.AddRange(
            method.Settings.Select(setting => $"--set {setting.Name}={setting.Describe(setting.Default)}")
        );
        return options.Count > 0 ? string.Join(", ", options) : "none";
    }
}
