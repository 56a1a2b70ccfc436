using System.Globalization;
using System.Text;

namespace Spectral.Cli;

/// <summary>A point of a loss curve.</summary>
public readonly record struct LossPoint(int Step, double Loss);

/// <summary>
/// Draws a loss curve as SVG that stands alone: its style is inside and follows the reader's light or dark setting, so
/// the same text serves as a file for a README and as part of an HTML page.
/// </summary>
public static class LossChart
{
    private const double Width = 720, Height = 340, Left = 56, Right = 16, Top = 34, Bottom = 42;
    private const int MostPoints = 600;

    // Everything is scoped by the root's class: inside an HTML page the style would reach other elements too. No CSS
    // variables: programs that turn SVG into pictures do not know them.
    private const string Style = """
        .loss-chart{font:13px system-ui,sans-serif}.loss-chart text{fill:#59636e}.loss-chart .title{fill:#1f2328}.loss-chart .grid{stroke:#d8dee4}
        .loss-chart polyline{fill:none;stroke-linejoin:round;stroke-linecap:round;stroke-width:2.2}.loss-chart .train,.loss-chart .raw{stroke:#0969da}
        .loss-chart .eval{stroke:#bc4c00}.loss-chart circle{fill:#bc4c00}.loss-chart .raw{stroke-width:1;opacity:.35}
        @media (prefers-color-scheme:dark){.loss-chart text{fill:#9198a1}.loss-chart .title{fill:#e6edf3}.loss-chart .grid{stroke:#30363d}
        .loss-chart .train,.loss-chart .raw{stroke:#58a6ff}.loss-chart .eval{stroke:#f0883e}.loss-chart circle{fill:#f0883e}}
        """;

    /// <param name="training">Loss of each step, in order; what is not finite is left out.</param>
    /// <param name="evaluation">Loss on held-out data, in order; may be empty.</param>
    public static string Svg(IReadOnlyList<LossPoint> training, IReadOnlyList<LossPoint> evaluation)
    {
        LossPoint[] train = Thin([.. training.Where(point => double.IsFinite(point.Loss))]);
        LossPoint[] eval = [.. evaluation.Where(point => double.IsFinite(point.Loss))];
        var svg = new StringBuilder();
        Line(svg, $"<svg class=\"loss-chart\" xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {Width} {Height}\" role=\"img\" aria-label=\"Loss by step\">");
        Line(svg, $"<style>{Style}</style>");
        LossPoint[] all = [.. train, .. eval];
        if (all.Length == 0)
            Line(svg, $"<text x=\"{Width / 2}\" y=\"{Height / 2}\" text-anchor=\"middle\">no loss was recorded</text>");
        else
            Draw(svg, train, eval, new Axis(all.Min(point => (double)point.Step), all.Max(point => (double)point.Step), Left, Width - Right, whole: true),
                new Axis(Math.Min(0, all.Min(point => point.Loss)), all.Max(point => point.Loss), Height - Bottom, Top, whole: false));
        return svg.Append("</svg>\n").ToString();
    }

    private static void Draw(StringBuilder svg, LossPoint[] train, LossPoint[] eval, Axis steps, Axis losses)
    {
        foreach (double tick in losses.Ticks())
        {
            Line(svg, $"<line class=\"grid\" x1=\"{Left}\" x2=\"{Width - Right}\" y1=\"{losses.At(tick):0.#}\" y2=\"{losses.At(tick):0.#}\"/>");
            Line(svg, $"<text x=\"{Left - 8}\" y=\"{losses.At(tick) + 4:0.#}\" text-anchor=\"end\">{tick:0.####}</text>");
        }
        foreach (double tick in steps.Ticks())
            Line(svg, $"<text x=\"{steps.At(tick):0.#}\" y=\"{Height - Bottom + 18}\" text-anchor=\"middle\">{tick:0}</text>");
        Line(svg, $"<text x=\"{(Left + Width - Right) / 2}\" y=\"{Height - 6}\" text-anchor=\"middle\">step</text>");
        Line(svg, $"<text class=\"title\" x=\"{Left}\" y=\"20\">loss</text>");

        double legend = Width - Right;
        if (eval.Length > 0) Legend(svg, ref legend, "eval", "held-out records");
        if (train.Length > 0) Legend(svg, ref legend, "train", "training");
        Curve(svg, "raw", train, steps, losses);
        Curve(svg, "train", Smooth(train), steps, losses);
        Curve(svg, "eval", eval, steps, losses);
        foreach (LossPoint point in eval)
            Line(svg, $"<circle cx=\"{steps.At(point.Step):0.#}\" cy=\"{losses.At(point.Loss):0.#}\" r=\"3.5\"/>");
    }

    private static void Legend(StringBuilder svg, ref double right, string kind, string label)
    {
        double start = right - 30 - 7.5 * label.Length;
        Line(svg, $"<polyline class=\"{kind}\" points=\"{start:0.#},16 {start + 22:0.#},16\"/>");
        Line(svg, $"<text x=\"{start + 28:0.#}\" y=\"20\">{label}</text>");
        right = start - 14;
    }

    private static void Curve(StringBuilder svg, string kind, LossPoint[] points, Axis steps, Axis losses)
    {
        if (points.Length < 2) return;
        svg.Append(CultureInfo.InvariantCulture, $"<polyline class=\"{kind}\" points=\"");
        foreach (LossPoint point in points) svg.Append(CultureInfo.InvariantCulture, $"{steps.At(point.Step):0.#},{losses.At(point.Loss):0.#} ");
        svg.Length--;
        svg.Append("\"/>\n");
    }

    /// <summary>Means of equal runs of steps: a long run would otherwise make a picture of megabytes.</summary>
    private static LossPoint[] Thin(LossPoint[] points)
    {
        if (points.Length <= MostPoints) return points;
        int run = (points.Length + MostPoints - 1) / MostPoints;
        return [.. points.Chunk(run).Select(part => new LossPoint(part[^1].Step, part.Average(point => point.Loss)))];
    }

    /// <summary>Mean over a window of about a fifteenth of the curve, centred so that it does not lag, narrower towards the ends.</summary>
    private static LossPoint[] Smooth(LossPoint[] points)
    {
        var smooth = new LossPoint[points.Length];
        for (int i = 0; i < points.Length; i++)
        {
            int reach = Math.Min(points.Length / 30, Math.Min(i, points.Length - 1 - i));
            double sum = 0;
            for (int j = i - reach; j <= i + reach; j++) sum += points[j].Loss;
            smooth[i] = points[i] with { Loss = sum / (2 * reach + 1) };
        }
        return smooth;
    }

    private static void Line(StringBuilder svg, FormattableString text) => svg.Append(text.ToString(CultureInfo.InvariantCulture)).Append('\n');

    /// <summary>Maps a range of values to pixels, and finds round numbers to label it with.</summary>
    private readonly struct Axis
    {
        private readonly double low, high, from, to, stride;

        public Axis(double low, double high, double from, double to, bool whole)
        {
            if (high <= low) high = low + 1;
            double rough = (high - low) / 5, power = Math.Pow(10, Math.Floor(Math.Log10(rough))), lead = rough / power;
            stride = power * (lead < 1.5 ? 1 : lead < 3 ? 2 : lead < 7 ? 5 : 10);
            if (whole) stride = Math.Max(1, stride);
            else high = Math.Ceiling(high / stride - 1e-9) * stride;
            (this.low, this.high, this.from, this.to) = (low, high, from, to);
        }

        public double At(double value) => from + (value - low) / (high - low) * (to - from);

        public IEnumerable<double> Ticks()
        {
            double first = Math.Ceiling(low / stride - 1e-9), last = Math.Floor(high / stride + 1e-9);
            for (double tick = first; tick <= last; tick++) yield return tick * stride + 0.0; // + 0.0: a label "-0" would be odd
        }
    }
}
