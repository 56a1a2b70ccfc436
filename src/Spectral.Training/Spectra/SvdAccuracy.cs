using Spectral.Training.Numerics;

namespace Spectral.Training.Spectra;

/// <summary>The method by which singular values and vectors were computed, and bounds on their errors.</summary>
/// <param name="Method">The method: exact or randomized.</param>
/// <param name="Computed">The number of triplets computed.</param>
/// <param name="Truncated">Whether fewer triplets were computed than there are.</param>
/// <param name="BaseResidual">
/// A bound on the spectral norm of the part of the base that its triplets leave out (with probability 1 − 10⁻¹⁰ if
/// randomized).
/// </param>
/// <param name="TunedResidual">The same bound for the tuned weight.</param>
/// <param name="ChangeResidual">The same bound for the update.</param>
/// <param name="BaseErrors">
/// A bound on the distance of each value of the base to a singular value; empty if all are within the residual, i.e.
/// exact up to rounding.
/// </param>
/// <param name="TunedErrors">The same bounds for the tuned weight.</param>
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
