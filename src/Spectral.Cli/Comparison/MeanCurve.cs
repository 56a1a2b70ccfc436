namespace Spectral.Cli;

/// <summary>A loss over steps, over the seeds of a method: mean, and the least and the largest of them.</summary>
internal readonly record struct MeanPoint(int Step, double Mean, double Low, double High);

/// <summary>Draws the mean loss of several methods, each with a band from the least to the largest of its seeds.</summary>
internal static class MeanCurve
{
    // All methods together: so many points are smooth on any screen, and a page stays below a few megabytes.
    private const int MostPoints = 6000, MostPerMethod = 240, LeastPerMethod = 40;

    /// <summary>The curve of a method's steps.</summary>
    /// <param name="curves">One per seed.</param>
    /// <param name="smooth">Whether to take running means of each.</param>
    /// <param name="methods">How many methods share the picture.</param>
    public static MeanPoint[] Of(IEnumerable<IReadOnlyList<LossPoint>> curves, bool smooth, int methods)
    {
        int most = Math.Clamp(MostPoints / Math.Max(1, methods), LeastPerMethod, MostPerMethod);
        return
        [
            .. curves.SelectMany(curve => LossCurve.Thin(smooth ? LossCurve.Smooth(LossCurve.Finite(curve)) : LossCurve.Finite(curve), most))
                .GroupBy(point => point.Step).OrderBy(step => step.Key)
                .Select(step => new MeanPoint(step.Key, step.Average(point => point.Loss), step.Min(point => point.Loss), step.Max(point => point.Loss))),
        ];
    }

    /// <param name="curves">One per method, in the order of their classes m0, m1, …</param>
    /// <param name="label">What the picture shows, for those who hear it.</param>
    /// <param name="size">The canvas.</param>
    public static string Svg(IReadOnlyList<MeanPoint[]> curves, string label, ChartSize size)
    {
        var chart = new Chart(size, label);
        MeanPoint[] all = [.. curves.SelectMany(curve => curve)];
        if (all.Length == 0)
        {
            chart.Text(size.Width / 2, size.Height / 2, "no loss was recorded", anchor: "middle");
            return chart.Render();
        }
        var steps = ChartAxis.Whole(all.Min(point => point.Step), all.Max(point => point.Step), chart.Left, chart.Right);
        var losses = ChartAxis.Fitting(all.Min(point => point.Low), all.Max(point => point.High), chart.Bottom, chart.Top);
        chart.Axes(steps, losses, "step", "loss");
        for (int i = 0; i < curves.Count; i++)
            chart.Band($"band m{i}", [.. curves[i].Select(point => (steps.At(point.Step), losses.At(point.High))), .. curves[i].Reverse().Select(point => (steps.At(point.Step), losses.At(point.Low)))]);
        for (int i = 0; i < curves.Count; i++) chart.Curve($"curve m{i}", [.. curves[i].Select(point => (steps.At(point.Step), losses.At(point.Mean)))]);
        return chart.Render();
    }
}
