using System.Globalization;
using System.Text.Json.Nodes;

namespace Spectral.Cli.Reports;

/// <summary>Lines over one pair of axes, as the page's script takes them (<c>web/src/model.ts</c>).</summary>
/// <param name="Id">The name of the chart in the page's address and in file names.</param>
/// <param name="Title">What the chart shows.</param>
/// <param name="Explanation">A sentence on how to read the chart.</param>
/// <param name="X">The label of the horizontal axis.</param>
/// <param name="Y">The label of the vertical axis, which is logarithmic if all values are positive and they span more
/// than a factor of twenty.</param>
internal sealed record CurvesChart(string Id, string Title, string Explanation, string X, string Y)
{
    private readonly JsonArray _series = [];

    /// <summary>Whether the boxes of the page serve as the legend, in place of one in the chart.</summary>
    public bool Keyed { get; init; }

    /// <summary>Whether the vertical axis is linear whatever the values.</summary>
    public bool IsLinear { get; init; }

    /// <summary>Adds a series of points to the chart.</summary>
    /// <param name="name">The name of the series.</param>
    /// <param name="slot">The index of its colour.</param>
    /// <param name="look">line, raw (faint, behind the others), dots (marks on a line) or marks (points alone).</param>
    /// <param name="points">The points in order of x.</param>
    public void Add(string name, int slot, string look, IEnumerable<LossPoint> points) =>
        Add(name, slot, look, points.Select(point => ((double)point.Step, point.Loss)));

    /// <summary>Adds a series of points whose x is any number.</summary>
    /// <inheritdoc cref="Add(string, int, string, IEnumerable{LossPoint})"/>
    public void Add(string name, int slot, string look, IEnumerable<(double X, double Y)> points) =>
        _series.Add(Series(name, slot, look, points.Select(point => Pair(point.X, point.Y))));

    /// <summary>Adds a line of means, with a band from the smallest to the largest value.</summary>
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
            ["y"] = new JsonObject { ["label"] = Y, ["scale"] = IsLinear ? "linear" : "auto" },
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

    /// <summary>
    /// Rounds to seven digits, more than a screen can show, so that the page of many runs stays small.
    /// </summary>
    private static double Short(double value) =>
        double.Parse(value.ToString("G7", CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);
}
