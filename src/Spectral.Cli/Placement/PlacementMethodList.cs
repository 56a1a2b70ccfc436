using System.Text.Json.Nodes;
using Spectral.Cli.Hosting;
using Spectral.Cli.Options;
using Spectral.Training.Placement;

namespace Spectral.Cli.Placement;

/// <summary><c>spectral place --list</c>: the placement methods, or one of them in detail.</summary>
internal static class PlacementMethodList
{
    public static void Print(CommandContext context, string? name)
    {
        if (name is not null)
        {
            PlacementMethod method = PlacementMethods.Find(name);
            context.Finish(Json(method), terminal => Show(terminal, method));
            return;
        }

        var result = new JsonObject
        {
            ["methods"] = new JsonArray([.. PlacementMethods.All.Select(method => (JsonNode)Json(method))]),
        };
        context.Finish(
            result,
            terminal =>
            {
                terminal.Table(
                    ["name", "needs", "source"],
                    [.. PlacementMethods.All.Select(method => (string[])[method.Name, Needs(method), method.Origin])],
                    textFrom: 1
                );
                terminal.Line("`spectral place --list --method NAME` shows one method in detail");
            }
        );
    }

    private static void Show(Terminal terminal, PlacementMethod method)
    {
        terminal.Table(
            ("name", method.Name),
            ("formula", method.Formula),
            ("use", method.Use),
            ("source", method.Source),
            MethodText.Form(method),
            ("needs", Needs(method)),
            ("--budget", method.BudgetOf ?? "none"),
            ("score", method.ScoreOf ?? "none")
        );
        MethodText.ShowSettings(terminal, method.Settings);
    }

    private static string Needs(PlacementMethod method)
    {
        if (!method.RunsModel)
            return "the model's config";
        return method.UsesValidation ? "--data, --eval" : "--data";
    }

    private static JsonObject Json(PlacementMethod method) =>
        new()
        {
            ["name"] = method.Name,
            ["formula"] = method.Formula,
            ["source"] = method.Source,
            ["published_form"] = method.IsPublishedForm,
            ["use"] = method.Use,
            ["runs_model"] = method.RunsModel,
            ["uses_validation"] = method.UsesValidation,
            ["searches"] = method.Searches,
            ["budget"] = method.BudgetOf,
            ["score"] = method.ScoreOf,
            ["settings"] = MethodText.JsonOf(method.Settings),
        };
}
