using Spectral.Cli.Reports;

namespace Spectral.Cli.Comparisons;

/// <summary>The mean loss of a method over its seeds.</summary>
internal static class MeanCurve
{
    // For all methods together: curves of so many points look smooth on any screen, and a page stays below 600 KB.
    private const int MostPoints = 6000;
    private const int MostPerMethod = 240;
    private const int LeastPerMethod = 40;

    /// <summary>Averages the loss curves of a method over its seeds.</summary>
    /// <param name="curves">One curve per seed.</param>
    /// <param name="smooth">Whether to replace each by its running mean.</param>
    /// <param name="methods">How many methods share the chart.</param>
    public static MeanPoint[] Of(IEnumerable<IReadOnlyList<LossPoint>> curves, bool smooth, int methods)
    {
        int most = Math.Clamp(MostPoints / Math.Max(1, methods), LeastPerMethod, MostPerMethod);
        MeanPoint[] steps =
        [
            .. curves
                .SelectMany(curve => smooth ? LossCurve.Smooth(LossCurve.Finite(curve)) : LossCurve.Finite(curve))
                .GroupBy(point => point.Step)
                .OrderBy(step => step.Key)
                .Select(step => new MeanPoint(
                    step.Key,
                    step.Average(point => point.Loss),
                    step.Min(point => point.Loss),
                    step.Max(point => point.Loss)
                )),
        ];
        int run = (steps.Length + most - 1) / most;
        return run <= 1
            ? steps
            :
            [
                .. steps
                    .Chunk(run)
                    .Select(part => new MeanPoint(
                        part[^1].Step,
                        part.Average(point => point.Mean),
                        part.Min(point => point.Low),
                        part.Max(point => point.High)
                    )),
            ];
    }
}
