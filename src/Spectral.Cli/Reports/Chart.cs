using System.Globalization;
using System.Net;
using System.Text;

namespace Spectral.Cli;

/// <summary>
/// How large a chart's canvas is. Text keeps its size on it, so a page shows <see cref="Wide"/> on a desk and <see cref="Narrow"/> on a phone
/// instead of shrinking one picture until nobody can read it.
/// </summary>
public sealed record ChartSize(double Width, double Height)
{
    /// <summary>For a column of text on a large screen, and for a file of its own.</summary>
    public static ChartSize Wide { get; } = new(720, 340);

    /// <summary>For a phone.</summary>
    public static ChartSize Narrow { get; } = new(360, 280);
}

/// <summary>
/// A chart as SVG that stands alone: its style is inside and follows the reader's light or dark setting, so the same text serves as a file for
/// a README and as part of an HTML page.
/// </summary>
internal sealed class Chart
{
    // Everything is scoped by the root's class: inside an HTML page the style would reach other elements too. No CSS
    // variables: programs that turn SVG into pictures do not know them.
    private const string Style = """
        .chart{font:13px system-ui,sans-serif}.chart text{fill:#59636e}.chart .title{fill:#1f2328}.chart .grid{stroke:#d8dee4}
        .chart polyline{fill:none;stroke-linejoin:round;stroke-linecap:round;stroke-width:2.2}.chart .train,.chart .raw{stroke:#0969da}
        .chart .eval{stroke:#bc4c00}.chart circle.eval,.chart text.eval{fill:#bc4c00;stroke:none}.chart .raw{stroke-width:1;opacity:.35}
        @media (prefers-color-scheme:dark){.chart text{fill:#9198a1}.chart .title{fill:#e6edf3}.chart .grid{stroke:#30363d}
        .chart .train,.chart .raw{stroke:#58a6ff}.chart .eval{stroke:#f0883e}.chart circle.eval,.chart text.eval{fill:#f0883e;stroke:none}}
        """;

    private readonly StringBuilder svg = new();

    /// <param name="size">The canvas.</param>
    /// <param name="label">What the picture shows, for those who hear it.</param>
    public Chart(ChartSize size, string label)
    {
        Size = size;
        Line($"<svg class=\"chart\" xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {size.Width} {size.Height}\" role=\"img\" aria-label=\"{Escape(label)}\">");
        Line($"<style>{Style}</style>");
    }

    public ChartSize Size { get; }

    // Room for labels around the field in which values are drawn.
    public double Left { get; init; } = 48;

    public double Right => Size.Width - 12;

    public double Top { get; init; } = 34;

    public double Bottom => Size.Height - 42;

    /// <summary>Lines and labels of the values axis on the left, labels of the steps axis below.</summary>
    public void Axes(ChartAxis across, ChartAxis up, string below, string title)
    {
        foreach (double tick in up.Ticks())
        {
            Line($"<line class=\"grid\" x1=\"{Left}\" x2=\"{Right}\" y1=\"{up.At(tick):0.#}\" y2=\"{up.At(tick):0.#}\"/>");
            Text(Left - 8, up.At(tick) + 4, Number(tick), anchor: "end");
        }
        foreach (double tick in across.Ticks()) Text(across.At(tick), Bottom + 18, Number(tick), anchor: "middle");
        Text((Left + Right) / 2, Size.Height - 6, below, anchor: "middle");
        Text(Left, 20, up.IsLogarithmic ? title + ", logarithmic" : title, "title");
    }

    public void Text(double x, double y, string text, string? kind = null, string anchor = "start") =>
        Line($"<text{Class(kind)} x=\"{x:0.#}\" y=\"{y:0.#}\"{(anchor == "start" ? "" : $" text-anchor=\"{anchor}\"")}>{Escape(text)}</text>");

    public void Dot(double x, double y, string kind, double radius = 3.5) => Line($"<circle class=\"{kind}\" cx=\"{x:0.#}\" cy=\"{y:0.#}\" r=\"{radius}\"/>");

    public void Segment(double x1, double y1, double x2, double y2, string kind) =>
        Line($"<line class=\"{kind}\" x1=\"{x1:0.#}\" y1=\"{y1:0.#}\" x2=\"{x2:0.#}\" y2=\"{y2:0.#}\"/>");

    /// <summary>A line through points in pixels; of fewer than two there is none.</summary>
    public void Curve(string kind, IReadOnlyCollection<(double X, double Y)> points)
    {
        if (points.Count >= 2) Line($"<polyline class=\"{kind}\" points=\"{Points(points)}\"/>");
    }

    /// <summary>The area between points there and back.</summary>
    public void Band(string kind, IReadOnlyCollection<(double X, double Y)> outline)
    {
        if (outline.Count >= 4) Line($"<polygon class=\"{kind}\" points=\"{Points(outline)}\"/>");
    }

    /// <summary>The whole element.</summary>
    public string Render() => svg + "</svg>\n";

    /// <summary>Short, with the digits that tell ticks apart.</summary>
    public static string Number(double value) => value.ToString(Math.Abs(value) is >= 1e-5 and < 1e7 or 0 ? "0.#####" : "0.#e0", CultureInfo.InvariantCulture);

    private static string Points(IEnumerable<(double X, double Y)> points) =>
        string.Join(' ', points.Select(point => string.Create(CultureInfo.InvariantCulture, $"{point.X:0.#},{point.Y:0.#}")));

    private static string Class(string? kind) => kind is null ? "" : $" class=\"{kind}\"";

    private static string Escape(string text) => WebUtility.HtmlEncode(text);

    private void Line(FormattableString text) => svg.Append(text.ToString(CultureInfo.InvariantCulture)).Append('\n');
}
