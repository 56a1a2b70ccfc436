using System.Text.Json.Nodes;
using Spectral.Cli.Options;
using Spectral.Training.Objectives;

namespace Spectral.Cli.Commands;

/// <summary><c>spectral methods --losses</c>: the losses, or one of them in detail.</summary>
internal sealed class LossList : MethodList<LossMethod>
{
    protected override IEnumerable<LossMethod> All => LossMethods.All;
    protected override string[] Columns => ["name", "records", "base", "settings", "formula", "source"];
    protected override int FirstText => 3;
    protected override string Key => "losses";
    protected override string Hint =>
        "S is the sum and a the mean of the log-probabilities of an answer's tokens and its end token, R the sum that "
        + "the base gives, + the chosen answer, - the rejected one; `spectral methods --losses NAME` shows one loss in "
        + "detail";

    protected override string[] Row(LossMethod method) =>
        [method.Name, Records(method), Base(method), Names(method), method.Formula, method.Origin];

    protected override IEnumerable<(string Name, string Value)> Details(LossMethod method) =>
        [("records", Records(method)), ("compares with the base", Base(method))];

    protected override void AddFacts(JsonObject json, LossMethod method)
    {
        json["takes_pairs"] = method.TakesPairs;
        json["needs_base"] = method.NeedsBase;
    }

    private static string Records(LossMethod method) => method.TakesPairs ? "pairs" : "texts";

    private static string Base(LossMethod method) => method.NeedsBase ? "yes" : "no";

    private static string Names(LossMethod method) =>
        string.Join(
            ' ',
            method.Settings.Select(setting => $"{LossOption.Group}.{setting.Name}").DefaultIfEmpty("none")
        );
}
