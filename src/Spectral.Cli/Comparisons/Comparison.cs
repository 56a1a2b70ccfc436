using System.Text.Json.Nodes;

namespace Spectral.Cli.Comparisons;

/// <summary>A comparison as far as it has come: what was compared on what, and every method's finished runs.</summary>
internal sealed class Comparison(IReadOnlyList<ComparedMethod> methods)
{
    private readonly List<FinishedRun> _runs = [];

    /// <summary>Facts that all runs have in common, for the JSON object.</summary>
    public required IReadOnlyList<(string Key, JsonNode? Value)> Facts { get; init; }

    /// <summary>The heading of the page.</summary>
    public required string Title { get; init; }

    /// <summary>Rows of the page's table of settings.</summary>
    public required IReadOnlyList<(string Name, string Value)> Settings { get; init; }

    /// <summary>Remarks below the table.</summary>
    public required IReadOnlyList<string> Notes { get; init; }

    /// <summary>Runs that were asked for.</summary>
    public required int Wanted { get; init; }

    public int Done => _runs.Count;

    public bool IsComplete => Done == Wanted;

    /// <summary>Every method in the order given, with the runs it has so far.</summary>
    public IReadOnlyList<MethodSummary> Methods =>
        [.. methods.Select(compared => new MethodSummary(compared, [.. _runs.Where(run => run.Compared == compared)]))];

    public void Add(FinishedRun run) => _runs.Add(run);

    public JsonObject ToJson()
    {
        var json = new JsonObject();
        foreach ((string key, JsonNode? value) in Facts)
            json[key] = value?.DeepClone();
        json["methods"] = new JsonArray([.. Methods.Select(method => (JsonNode)method.ToJson())]);
        json["complete"] = IsComplete;
        return json;
    }
}
