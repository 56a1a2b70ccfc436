namespace Spectral.Cli.Reports;

/// <summary>Prepares loss curves for drawing.</summary>
internal static class LossCurve
{
    /// <summary>Returns the points whose loss is finite.</summary>
    public static LossPoint[] Finite(IEnumerable<LossPoint> points) =>
        [.. points.Where(point => double.IsFinite(point.Loss))];

    /// <summary>Averages groups of successive points, so that the chart of a long run stays small.</summary>
    public static LossPoint[] Thin(LossPoint[] points, int most)
    {
        if (points.Length <= most)
            return points;
        int run = (points.Length + most - 1) / most;
        return [.. points.Chunk(run).Select(part => new LossPoint(part[^1].Step, part.Average(point => point.Loss)))];
    }

    /// <summary>
    /// Averages each point over a window of about a fifteenth of the curve. The window is centred, so that the result
    /// does not lag, and narrower towards the ends.
    /// </summary>
    public static LossPoint[] Smooth(LossPoint[] points)
    {
        var smooth = new LossPoint[points.Length];
        for (int i = 0; i < points.Length; i++)
        {
            int reach = Math.Min(points.Length / 30, Math.Min(i, points.Length - 1 - i));
            double sum = 0;
            for (int j = i - reach; j <= i + reach; j++)
                sum += points[j].Loss;
            smooth[i] = points[i] with { Loss = sum / (2 * reach + 1) };
        }
        return smooth;
    }
}
