using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Numerics;

namespace Spectral.Training.Spectra;

/// <summary>
/// The changes of the singular values by index, where index 0 is the largest value. NaN where a base value is only
/// rounding error.
/// </summary>
public sealed record ValueChange
{
    private const int Directions = 8;

    /// <summary>The singular values σ0 of the base, [k].</summary>
    public required double[] Base { get; init; }

    /// <summary>The singular values σ1 of the tuned weight, [k].</summary>
    public required double[] Tuned { get; init; }

    /// <summary>The changes δ_i = σ1_i − σ0_i, [k].</summary>
    public required double[] Change { get; init; }

    /// <summary>The relative changes ρ_i = δ_i / σ0_i, [k].</summary>
    public required double[] Relative { get; init; }

    /// <summary>
    /// The first-order changes u_iᵀ Δ v_i in the base's vectors, [k]. The rest of δ_i comes from turned vectors.
    /// </summary>
    public required double[] FirstOrder { get; init; }

    /// <summary>The Pearson correlation of <see cref="Change"/> with <see cref="FirstOrder"/>.</summary>
    public required double FirstOrderCorrelation { get; init; }

    /// <summary>
    /// The positions, counted from 1, of the largest |u_iᵀ Δ v_i| / σ0_i, largest first: the task-specific directions
    /// of LoRA-Dash.
    /// </summary>
    public required int[] TaskDirections { get; init; }

    /// <summary>The share of indices with ρ_i above 0.</summary>
    public required double SharePositive { get; init; }

    /// <summary>
    /// The mean ρ in each of 20 equal parts of the spectrum, [20], which makes spectra of different lengths comparable.
    /// </summary>
    public required double[] Profile { get; init; }

    /// <summary>The ratio δ_1 / ‖Δ‖₂; 1 if the update is along the first pair of vectors.</summary>
    public required double FirstRatio { get; init; }

    /// <summary>The largest change max |δ_i|, at most <see cref="SpectralBound"/> (Weyl).</summary>
    public required double LargestChange { get; init; }

    /// <summary>The spectral norm ‖Δ‖₂ of the update, which bounds every |δ_i|.</summary>
    public required double SpectralBound { get; init; }

    /// <summary>The Euclidean norm of the changes √Σ δ_i², at most <see cref="FrobeniusBound"/> (Mirsky).</summary>
    public required double ChangeNorm { get; init; }

    /// <summary>The Frobenius norm ‖Δ‖_F of the update, which bounds the norm of the changes.</summary>
    public required double FrobeniusBound { get; init; }

    /// <summary>Whether both inequalities hold, up to the errors of the values. This checks the arithmetic.</summary>
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
