using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Numerics;

namespace Spectral.Training.Spectra;

/// <summary>
/// How the singular values changed, by index; index 0 is the largest value. NaN where a base value is rounding.
/// </summary>
public sealed record ValueChange
{
    private const int Directions = 8;

    /// <summary>σ of the base, [k].</summary>
    public required double[] Base { get; init; }

    /// <summary>σ of the tuned weight, [k].</summary>
    public required double[] Tuned { get; init; }

    /// <summary>δ_i = σ1_i − σ0_i.</summary>
    public required double[] Change { get; init; }

    /// <summary>ρ_i = δ_i / σ0_i.</summary>
    public required double[] Relative { get; init; }

    /// <summary>
    /// u_iᵀ Δ v_i in the base's vectors: the change to first order. What δ_i has beyond it comes from turned vectors.
    /// </summary>
    public required double[] FirstOrder { get; init; }

    /// <summary>Correlation (Pearson) of <see cref="Change"/> with <see cref="FirstOrder"/>.</summary>
    public required double FirstOrderCorrelation { get; init; }

    /// <summary>
    /// Positions, counted from 1, of the largest |u_iᵀ Δ v_i| / σ0_i, largest first: the task-specific directions of
    /// LoRA-Dash.
    /// </summary>
    public required int[] TaskDirections { get; init; }

    /// <summary>Share of the indices with ρ_i above 0.</summary>
    public required double SharePositive { get; init; }

    /// <summary>Mean ρ over 20 equal parts of the spectrum, so that spectra of different length compare.</summary>
    public required double[] Profile { get; init; }

    /// <summary>δ_1 / ‖Δ‖₂: 1 when the update is along the first pair of vectors.</summary>
    public required double FirstRatio { get; init; }

    /// <summary>max |δ_i|, at most <see cref="SpectralBound"/> (Weyl).</summary>
    public required double LargestChange { get; init; }

    /// <summary>‖Δ‖₂.</summary>
    public required double SpectralBound { get; init; }

    /// <summary>√Σ δ_i², at most <see cref="FrobeniusBound"/> (Mirsky).</summary>
    public required double ChangeNorm { get; init; }

    /// <summary>‖Δ‖_F.</summary>
    public required double FrobeniusBound { get; init; }

    /// <summary>Both inequalities hold, up to the errors of the values: a check of the arithmetic.</summary>
    public required bool BoundsHold { get; init; }

    internal static ValueChange Of(MatrixPair pair, Triplets change)
    {
        (double[] before, double[] after) = (pair.Base.Values, pair.Tuned.Values);
        double[] delta = [.. after.Zip(before, (one, zero) => one - zero)];
        double[] relative =
        [
            .. delta.Select((value, i) => before[i] > pair.Base.NumericalZero ? value / before[i] : double.NaN),
        ];
        double[] firstOrder = pair.FirstOrder();
        double[] rates =
        [
            .. firstOrder.Select(
                (value, i) => before[i] > pair.Base.NumericalZero ? Math.Abs(value) / before[i] : double.NaN
            ),
        ];
        double largest = delta.Max(Math.Abs);
        double norm = Math.Sqrt(delta.Sum(value => value * value));
        double slack = 2 * pair.Base.ValueErrors.Concat(pair.Tuned.ValueErrors).Max();
        return new ValueChange
        {
            Base = before,
            Tuned = after,
            Change = delta,
            Relative = relative,
            FirstOrder = firstOrder,
            FirstOrderCorrelation = Correlation(delta, firstOrder),
            TaskDirections =
            [
                .. Enumerable
                    .Range(0, rates.Length)
                    .Where(i => rates[i] > 0)
                    .OrderByDescending(i => rates[i])
                    .Take(Directions)
                    .Select(i => i + 1),
            ],
            SharePositive = relative.Count(value => value > 0) / (double)Math.Max(1, relative.Count(double.IsFinite)),
            Profile = SpectrumBin.Profile(relative, pair.N),
            FirstRatio = delta[0] / change.Values[0],
            LargestChange = largest,
            SpectralBound = change.Values[0],
            ChangeNorm = norm,
            FrobeniusBound = change.FrobeniusNorm,
            BoundsHold =
                largest <= change.Values[0] + change.ValueErrors[0] + slack
                && norm <= change.FrobeniusNorm + (slack * Math.Sqrt(delta.Length)),
        };
    }

    private static double Correlation(double[] x, double[] y)
    {
        (double meanX, double meanY) = (x.Average(), y.Average());
        double xy = 0;
        double xx = 0;
        double yy = 0;
        for (int i = 0; i < x.Length; i++)
        {
            xy += (x[i] - meanX) * (y[i] - meanY);
            xx += (x[i] - meanX) * (x[i] - meanX);
            yy += (y[i] - meanY) * (y[i] - meanY);
        }
        return xy / Math.Sqrt(xx * yy);
    }
}
