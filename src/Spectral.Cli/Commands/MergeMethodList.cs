using System.Globalization;
using System.Text.Json.Nodes;
using Spectral.Cli.Options;
using Spectral.Cli.Output;
using Spectral.Training.Merging;
using Spectral.Training.Settings;

namespace Spectral.Cli.Commands;

/// <summary><c>spectral merge --list</c>: the merge methods, or one of them in detail.</summary>
internal sealed class MergeMethodList : MethodList<MergeMethod>
{
    protected override IEnumerable<MergeMethod> All => MergeMethods.All;
    protected override string[] Columns => ["name", "inputs", "options", "source"];
    protected override int FirstText => 2;
    protected override string Hint => "`spectral merge --list --method NAME` shows one method in detail";

    protected override string[] Row(MergeMethod method) =>
        [method.Name, Inputs(method), string.Join(' ', Options(method)), method.Origin];

    protected override IEnumerable<(string Name, string Value)> Details(MergeMethod method) =>
        [
            ("inputs", Inputs(method)),
            (
                "options",
                string.Join(", ", Options(method).Where(option => option.StartsWith('-')).DefaultIfEmpty("none"))
            ),
        ];

    protected override IEnumerable<string> Remarks(MergeMethod method)
    {
        if (method.Cost is { } cost)
            yield return cost;
        if (method.Data == MergeData.PerInput)
            yield return "--data is given once for each input, in their order: records of its task";
        if (method.Uses.HasFlag(MergeUses.Density))
        {
            yield return string.Create(
                CultureInfo.InvariantCulture,
                $"--density is {method.DefaultDensity} unless given"
            );
        }
    }

    protected override IReadOnlyList<TextSetting> TextSettings(MergeMethod method) => method.TextSettings;

    protected override void AddFacts(JsonObject json, MergeMethod method)
    {
        json["least_inputs"] = method.LeastInputs;
        json["most_inputs"] = method.MostInputs == int.MaxValue ? null : method.MostInputs;
        json["depends_on_order"] = method.DependsOnOrder;
        json["weights"] = method.Uses.HasFlag(MergeUses.Weights);
        json["density"] = method.Uses.HasFlag(MergeUses.Density) ? JsonOutput.Number(method.DefaultDensity) : null;
        json["seed"] = method.Uses.HasFlag(MergeUses.Seed);
        json["factors"] = method.MergesFactors;
        json["cost"] = method.Cost;
        json["data"] = method.Data switch
        {
            MergeData.None => null,
            MergeData.Shared => "shared",
            _ => "per_input",
        };
    }

    private static string Inputs(MergeMethod method) =>
        method.MostInputs switch
        {
            int.MaxValue => $"{method.LeastInputs}+",
            var most when most == method.LeastInputs => $"{most}",
            var most => $"{method.LeastInputs}-{most}",
        };

    private static IEnumerable<string> Options(MergeMethod method)
    {
        if (method.Uses.HasFlag(MergeUses.Weights))
            yield return "--weights";
        if (method.Uses.HasFlag(MergeUses.Density))
            yield return "--density";
        if (method.Uses.HasFlag(MergeUses.Seed))
            yield return "--seed";
        if (method.MergesFactors)
            yield return "--factors";
        if (method.Data != MergeData.None)
            yield return "--data";
        foreach (string name in method.Settings.Select(setting => setting.Name))
            yield return name;
        foreach (string name in method.TextSettings.Select(setting => setting.Name))
            yield return name;
    }
}
