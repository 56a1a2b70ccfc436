using System.Text.Json.Nodes;

namespace Spectral.Cli.Comparisons;

/// <summary>The state of a comparison: what is compared, and the finished runs of each method.</summary>
internal sealed class Comparison(IReadOnlyList<ComparedMethod> methods)
{
    private readonly List<FinishedRun> _runs = [];

    /// <summary>Facts that all runs have in common, for the JSON object.</summary>
    public required IReadOnlyList<(string Key, JsonNode? Value)> Facts { get; init; }

    /// <summary>The heading of the page.</summary>
    public required string Title { get; init; }

    /// <summary>Rows of the page's table of settings.</summary>
    public required IReadOnlyList<(string Name, string Value)> Settings { get; init; }

    /// <summary>Notes, one paragraph each, below the table of the page.</summary>
    public required IReadOnlyList<string> Notes { get; init; }

    /// <summary>How many runs the comparison has when it is complete.</summary>
    public required int Wanted { get; init; }

    public int Done => _runs.Count;

    public bool IsComplete => Done == Wanted;

    /// <summary>The methods in the order given, each with its finished runs.</summary>
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
