using Spectral.Training.Numerics;

namespace Spectral.Training.Spectra;

/// <summary>How singular values and vectors were computed, and how far they can be off.</summary>
/// <param name="Method">exact or randomized.</param>
/// <param name="Computed">How many triplets.</param>
/// <param name="Truncated">Fewer than there are.</param>
/// <param name="BaseResidual">Bound of the spectral norm of what the base's triplets leave out (with probability 1 −
/// 10⁻¹⁰ where randomized).</param>
/// <param name="TunedResidual">Of the tuned weight.</param>
/// <param name="ChangeResidual">Of the update.</param>
/// <param name="BaseErrors">Within so much of each value of the base there is a singular value; empty where all are
/// within the residual, rounding.</param>
/// <param name="TunedErrors">Of the tuned weight.</param>
public sealed record SvdAccuracy(
    string Method,
    int Computed,
    bool Truncated,
    double BaseResidual,
    double TunedResidual,
    double ChangeResidual,
    double[] BaseErrors,
    double[] TunedErrors
)
{
    internal static SvdAccuracy Of(MatrixPair pair, Triplets change) =>
        new(
            pair.Truncated ? "randomized" : "exact",
            pair.Count,
            pair.Truncated,
            pair.Base.ResidualBound,
            pair.Tuned.ResidualBound,
            change.ResidualBound,
            pair.Truncated ? pair.Base.ValueErrors : [],
            pair.Truncated ? pair.Tuned.ValueErrors : []
        );
}
