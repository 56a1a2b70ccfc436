using Spectral.Training.Numerics;

namespace Spectral.Training.Spectra;

/// <summary>
/// The singular values of the update itself, and how its leading vectors lie in the base's leading subspaces.
/// </summary>
/// <param name="Values">σ of Δ, descending.</param>
/// <param name="Vectors">r: how many of its leading vectors are compared, those of 90 % of its energy.</param>
/// <param name="Alignment">By k.</param>
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

/// <summary>
/// Share of the update's leading r vectors inside the base's leading k-dimensional subspace: ‖U_kᵀ U_Δ,r‖_F² / r.
/// </summary>
/// <param name="K">Dimension of the subspace.</param>
/// <param name="Left">Of the left vectors.</param>
/// <param name="RandomLeft">What random vectors have on average, k / out.</param>
/// <param name="Right">Of the right vectors.</param>
/// <param name="RandomRight">k / in.</param>
public sealed record UpdateAlignment(int K, double Left, double RandomLeft, double Right, double RandomRight);
