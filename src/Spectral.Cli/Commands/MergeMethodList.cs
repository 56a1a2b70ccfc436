using System.Globalization;
using System.Text.Json.Nodes;
using Spectral.Cli.Hosting;
using Spectral.Cli.Options;
using Spectral.Cli.Output;
using Spectral.Training.Merging;

namespace Spectral.Cli.Commands;

/// <summary><c>spectral merge --list</c>: the merge methods, or one of them in detail.</summary>
internal static class MergeMethodList
{
    public static void Print(CommandContext context, string? name)
    {
        if (name is not null)
        {
            MergeMethod method = MergeMethods.Find(name);
            context.Finish(Json(method), terminal => Show(terminal, method));
            return;
        }

        var result = new JsonObject
        {
            ["methods"] = new JsonArray([.. MergeMethods.All.Select(method => (JsonNode)Json(method))]),
        };
        context.Finish(
            result,
            terminal =>
            {
                terminal.Table(["name", "inputs", "options", "source"], [.. MergeMethods.All.Select(Row)], textFrom: 2);
                terminal.Line("`spectral merge --list --method NAME` shows one method in detail");
            }
        );
    }

    private static string[] Row(MergeMethod method) =>
        [method.Name, Inputs(method), string.Join(' ', Options(method)), method.Origin];

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
        if (method.Data != MergeData.None)
            yield return "--data";
        foreach (string name in method.Settings.Select(setting => setting.Name))
            yield return name;
        foreach (string name in method.TextSettings.Select(setting => setting.Name))
            yield return name;
    }

    private static void Show(Terminal terminal, MergeMethod method)
    {
        terminal.Line($"{method.Name}: {method.Summary}");
        terminal.Table(
            ("use", method.Use),
            ("source", method.Source),
            MethodText.Form(method),
            ("inputs", Inputs(method)),
            (
                "options",
                string.Join(", ", Options(method).Where(option => option.StartsWith('-')).DefaultIfEmpty("none"))
            )
        );
        if (method.Data == MergeData.PerInput)
            terminal.Line("--data is given once for each input, in their order: records of its task");
        if (method.Uses.HasFlag(MergeUses.Density))
        {
            terminal.Line(
                string.Create(CultureInfo.InvariantCulture, $"--density is {method.DefaultDensity} unless given")
            );
        }

        MethodText.ShowSettings(terminal, method.Settings, method.TextSettings);
    }

    private static JsonObject Json(MergeMethod method) =>
        new()
        {
            ["name"] = method.Name,
            ["formula"] = method.Formula,
            ["source"] = method.Source,
            ["published_form"] = method.IsPublishedForm,
            ["use"] = method.Use,
            ["least_inputs"] = method.LeastInputs,
            ["most_inputs"] = method.MostInputs == int.MaxValue ? null : method.MostInputs,
            ["depends_on_order"] = method.DependsOnOrder,
            ["weights"] = method.Uses.HasFlag(MergeUses.Weights),
            ["density"] = method.Uses.HasFlag(MergeUses.Density) ? JsonOutput.Number(method.DefaultDensity) : null,
            ["seed"] = method.Uses.HasFlag(MergeUses.Seed),
            ["data"] = method.Data switch
            {
                MergeData.None => null,
                MergeData.Shared => "shared",
                _ => "per_input",
            },
            ["settings"] = MethodText.JsonOf(method.Settings, method.TextSettings),
        };
}
