using System.Globalization;
using System.Text.Json.Nodes;
using Spectral.Cli.Hosting;
using Spectral.Cli.Options;
using Spectral.Cli.Output;
using Spectral.Training.Compression;

namespace Spectral.Cli.Commands;

/// <summary><c>spectral compress --list</c>: the compression methods, or one of them in detail.</summary>
internal static class CompressionMethodList
{
    public static void Print(CommandContext context, string? name)
    {
        if (name is not null)
        {
            CompressionMethod method = CompressionMethods.Find(name);
            context.Finish(Json(method), terminal => Show(terminal, method));
            return;
        }

        var result = new JsonObject
        {
            ["methods"] = new JsonArray([.. CompressionMethods.All.Select(method => (JsonNode)Json(method))]),
        };
        context.Finish(
            result,
            terminal =>
            {
                terminal.Table(
                    ["name", "options", "source"],
                    [
                        .. CompressionMethods.All.Select(method =>
                            (string[])[method.Name, Options(method), method.Origin]
                        ),
                    ],
                    textFrom: 1
                );
                terminal.Line("`spectral compress --list --method NAME` shows one method in detail");
            }
        );
    }

    private static void Show(Terminal terminal, CompressionMethod method)
    {
        terminal.Table(
            ("name", method.Name),
            ("formula", method.Formula),
            ("use", method.Use),
            ("source", method.Origin),
            ("input", method.NeedsModel ? "an adapter or a tuned model, and --model" : "an adapter"),
            ("options", Options(method))
        );
        MethodText.ShowSettings(terminal, method.Settings);
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

    private static JsonObject Json(CompressionMethod method) =>
        new()
        {
            ["name"] = method.Name,
            ["formula"] = method.Formula,
            ["source"] = method.Source,
            ["published_form"] = method.IsPublishedForm,
            ["use"] = method.Use,
            ["rank"] = method.Uses.HasFlag(CompressionUses.Rank),
            ["energy"] = method.Uses.HasFlag(CompressionUses.Energy) ? JsonOutput.Number(method.DefaultEnergy) : null,
            ["data"] = method.Uses.HasFlag(CompressionUses.Data),
            ["needs_model"] = method.NeedsModel,
            ["settings"] = MethodText.JsonOf(method.Settings),
        };
}
