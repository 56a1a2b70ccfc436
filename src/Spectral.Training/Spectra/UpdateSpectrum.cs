using Spectral.Training.Numerics;

namespace Spectral.Training.Spectra;

/// <summary>
/// The singular values of the update itself, and the position of its leading vectors relative to the base's leading
/// subspaces.
/// </summary>
/// <param name="Values">The singular values σ of Δ, descending.</param>
/// <param name="Vectors">
/// The number r of leading vectors that are compared; they hold 90 % of the update's energy.
/// </param>
/// <param name="Alignment">The alignment with the base, one entry for each k.</param>
public sealed record UpdateSpectrum(double[] Values, int Vectors, IReadOnlyList<UpdateAlignment> Alignment)
{
    internal static UpdateSpectrum Of(MatrixPair pair, Triplets change, SpectrumRank rank, IReadOnlyList<int> ranks)
    {
        int r = change.Values[0] == 0 ? 0 : rank.Energy90 ?? change.Count;
        HostMatrix left = pair.Base.Left.TimesTransposed(change.Left.TakeRows(r));
        HostMatrix right = pair.Base.Right.TimesTransposed(change.Right.TakeRows(r));
        return new UpdateSpectrum(
            change.Values,
            r,
            [
                .. ranks.Select(k => new UpdateAlignment(
                    k,
                    left.TakeRows(k).SquaredNorm() / r,
                    k / (double)pair.Out,
                    right.TakeRows(k).SquaredNorm() / r,
                    k / (double)pair.In
                )),
            ]
        );
    }
}
