namespace Spectral.Cli;

/// <summary>A point of a loss curve.</summary>
public readonly record struct LossPoint(int Step, double Loss);

/// <summary>Draws the loss of one run: each step, its running mean, and the loss on held-out records.</summary>
public static class LossChart
{
    // Two measurements, before and after, are no course: a line between them would be read as one.
    private const int FewestForALine = 3;

    /// <param name="training">Loss of each step, in order; what is not finite is left out.</param>
    /// <param name="evaluation">Loss on held-out data, in order; may be empty.</param>
    /// <param name="size">The canvas; wide if not given.</param>
    public static string Svg(IReadOnlyList<LossPoint> training, IReadOnlyList<LossPoint> evaluation, ChartSize? size = null)
    {
        LossPoint[] train = LossCurve.Thin(LossCurve.Finite(training), 600), eval = LossCurve.Finite(evaluation);
        var chart = new Chart(size ?? ChartSize.Wide, "Loss by step");
        LossPoint[] all = [.. train, .. eval];
        if (all.Length == 0) chart.Text(chart.Size.Width / 2, chart.Size.Height / 2, "no loss was recorded", anchor: "middle");
        else
            Draw(chart, train, eval, ChartAxis.Whole(all.Min(point => point.Step), all.Max(point => point.Step), chart.Left, chart.Right),
                ChartAxis.Fitting(all.Min(point => point.Loss), all.Max(point => point.Loss), chart.Bottom, chart.Top));
        return chart.Render();
    }

    private static void Draw(Chart chart, LossPoint[] train, LossPoint[] eval, ChartAxis steps, ChartAxis losses)
    {
        chart.Axes(steps, losses, "step", "loss");
        double legend = chart.Right;
        if (eval.Length > 0) Legend(chart, ref legend, "eval", "held-out records", dot: eval.Length < FewestForALine);
        if (train.Length > 0) Legend(chart, ref legend, "train", "training", dot: false);
        chart.Curve("raw", Pixels(train));
        chart.Curve("train", Pixels(LossCurve.Smooth(train)));
        if (eval.Length >= FewestForALine) chart.Curve("eval", Pixels(eval));
        foreach (LossPoint point in eval) chart.Dot(steps.At(point.Step), losses.At(point.Loss), "eval");

        (double, double)[] Pixels(LossPoint[] points) => [.. points.Select(point => (steps.At(point.Step), losses.At(point.Loss)))];
    }

    private static void Legend(Chart chart, ref double right, string kind, string label, bool dot)
    {
        double start = right - 28 - 7.2 * label.Length;
        if (dot) chart.Dot(start + 17, 16, kind);
        else chart.Curve(kind, [(start, 16), (start + 22, 16)]);
        chart.Text(start + 27, 20, label);
        right = start - 14;
    }
}
