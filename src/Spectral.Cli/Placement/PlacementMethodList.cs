using System.Text.Json.Nodes;
using Spectral.Cli.Options;
using Spectral.Training.Placement;

namespace Spectral.Cli.Placement;

/// <summary><c>spectral place --list</c>: the placement methods, or one of them in detail.</summary>
internal sealed class PlacementMethodList : MethodList<PlacementMethod>
{
    protected override IEnumerable<PlacementMethod> All => PlacementMethods.All;
    protected override string[] Columns => ["name", "needs", "source"];
    protected override int FirstText => 1;
    protected override string Hint => "`spectral place --list --method NAME` shows one method in detail";

    protected override string[] Row(PlacementMethod method) => [method.Name, Needs(method), method.Origin];

    protected override IEnumerable<(string Name, string Value)> Details(PlacementMethod method) =>
        [("needs", Needs(method)), ("--budget", method.BudgetOf ?? "none"), ("score", method.ScoreOf ?? "none")];

    protected override void AddFacts(JsonObject json, PlacementMethod method)
    {
        json["runs_model"] = method.RunsModel;
        json["uses_validation"] = method.UsesValidation;
        json["searches"] = method.Searches;
        json["budget"] = method.BudgetOf;
        json["score"] = method.ScoreOf;
    }

    private static string Needs(PlacementMethod method)
    {
        if (!method.RunsModel)
            return "the model's config";
        return method.UsesValidation ? "--data, --eval" : "--data";
    }
}
