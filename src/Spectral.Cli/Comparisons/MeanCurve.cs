using Spectral.Cli.Reports;
using Spectral.Training.Adapters.Expressions;

namespace Spectral.Cli.Comparisons;

/// <summary>The mean loss of a method over its seeds.</summary>
internal static class MeanCurve
{
    // All methods together: so many points are smooth on any screen, and a page stays below 600 KB.
    private const int MostPoints = 6000;
    private const int MostPerMethod = 240;
    private const int LeastPerMethod = 40;

    /// <summary>The curve of a method's steps.</summary>
    /// <param name="curves">One per seed.</param>
    /// <param name="smooth">Whether to take running means of each.</param>
    /// <param name="methods">How many methods share the picture.</param>
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
