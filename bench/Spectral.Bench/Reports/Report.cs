using System.Text.Json;
using System.Text.Json.Nodes;

namespace Spectral.Bench.Reports;

/// <summary>
/// The JSON of a run: <c>{"schema", "started", "finished", "complete", "extent", "device", "clocks", "method",
/// "results"}</c>. It is replaced as a whole after every scenario, so that a run that is cut off leaves what it had.
/// </summary>
internal sealed class Report(Machine machine, string? path)
{
    public const string Schema = "spectral-bench/1";

    private static readonly JsonSerializerOptions Json = new()
    {
        WriteIndented = true,
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
    };

    private readonly string _started = Now();
    private readonly JsonObject _device = MachineFacts.Describe(machine);
    private readonly JsonArray _clocks = [];
    private readonly List<Result> _results = [];

    public IReadOnlyList<Result> Results => _results;

    public bool HasFailed => _results.Any(result => result.Status == "FAILED");

    public void Add(IReadOnlyList<Result> results)
    {
        _results.AddRange(results);
        if (MachineFacts.Clocks(machine) is { } clocks)
        {
            clocks["after"] = $"{results[0].Case} {results[0].Shape}";
            _clocks.Add((JsonNode)clocks);
        }
        Write(complete: false);
    }

    public void Write(bool complete)
    {
        if (path is null)
            return;
        var root = new JsonObject
        {
            ["schema"] = Schema,
            ["started"] = _started,
            ["finished"] = Now(),
            ["complete"] = complete,
            ["extent"] = machine.Extent.ToString().ToLowerInvariant(),
            ["device"] = _device.DeepClone(),
            ["clocks"] = _clocks.DeepClone(),
            ["method"] = new JsonObject
            {
                ["inputs"] = "random normal, seeded",
                ["clock"] = "device events around each sample; host clock where 'clock' says so",
                ["statistic"] = "median; p10 and p90 beside it",
                ["buffers"] = "rotated so that twice the L2 cache is touched between two uses",
                ["order"] = "variants of a scenario in turns, five rounds, all warmed first",
                ["check"] = "against sums in double before any time",
                ["ratios"] =
                    "to the fastest of a role: cuBLAS' own choice, or cuBLASLt's best of up to 16 "
                    + "algorithms timed beforehand",
            },
            ["results"] = JsonSerializer.SerializeToNode(_results, Json),
        };
        string temporary = path + ".tmp";
        File.WriteAllText(temporary, root.ToJsonString(Json));
        File.Move(temporary, path, overwrite: true);
    }

    private static string Now() =>
        DateTime.UtcNow.ToString("yyyy-MM-ddTHH:mm:ssZ", System.Globalization.CultureInfo.InvariantCulture);
}
