using System.Globalization;
using System.Text.Json.Nodes;

namespace Spectral.Cli.Reports;

/// <summary>Lines over one pair of axes, as the page's script takes them (<c>web/src/model.ts</c>).</summary>
/// <param name="Id">Names the chart in its page's address and its file.</param>
/// <param name="Title">What it shows.</param>
/// <param name="Explanation">A sentence on how to read it.</param>
/// <param name="X">The quantity across.</param>
/// <param name="Y">The quantity upwards; logarithmic where it is positive and spans more than a factor of
/// twenty.</param>
internal sealed record CurvesChart(string Id, string Title, string Explanation, string X, string Y)
{
    private readonly JsonArray _series = [];

    /// <summary>Whether the page's boxes say which line is which, instead of the chart.</summary>
    public bool Keyed { get; init; }

    /// <summary>Adds a line.</summary>
    /// <param name="name">What it is.</param>
    /// <param name="slot">Which colour.</param>
    /// <param name="look">line, raw (faint, behind the others), dots (marks on a line) or marks (points alone).</param>
    /// <param name="points">In the order of x.</param>
    public void Add(string name, int slot, string look, IEnumerable<LossPoint> points) =>
        _series.Add(Series(name, slot, look, points.Select(point => Pair(point.Step, point.Loss))));

    /// <summary>Adds a mean with a band from the least to the largest.</summary>
    public void Add(string name, int slot, IReadOnlyCollection<MeanPoint> points)
    {
        JsonObject added = Series(name, slot, "line", points.Select(point => Pair(point.Step, point.Mean)));
        added["band"] = new JsonArray([.. points.Select(point => Pair(point.Low, point.High))]);
        _series.Add(added);
    }

    public JsonObject ToJson() =>
        new()
        {
            ["kind"] = "curves",
            ["id"] = Id,
            ["title"] = Title,
            ["explanation"] = Explanation,
            ["x"] = new JsonObject { ["label"] = X },
            ["y"] = new JsonObject { ["label"] = Y },
            ["series"] = _series.DeepClone(),
            ["keyed"] = Keyed,
        };

    private static JsonObject Series(string name, int slot, string look, IEnumerable<JsonNode> points) =>
        new()
        {
            ["name"] = name,
            ["slot"] = slot,
            ["look"] = look,
            ["points"] = new JsonArray([.. points]),
        };

    private static JsonNode Pair(double first, double second) => new JsonArray(Short(first), Short(second));

    /// <summary>Seven digits, more than a screen can show: a page of many runs stays small.</summary>
    private static double Short(double value) =>
        double.Parse(value.ToString("G7", CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);
}
