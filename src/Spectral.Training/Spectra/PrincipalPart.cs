using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Numerics;

namespace Spectral.Training.Spectra;

/// <summary>
/// Keeps the principal part of an update: W0 + Σ_{i≤k} σ_i u_i v_iᵀ over the leading triplets of Δ. After LIP (Si et
/// al., arXiv 2505.16159), which keeps the principal subspace of a classifier trained on wrong labels, as their noise
/// lies in the lower singular components. In a tuned model only Δ has seen those labels, so only Δ is cut.
/// </summary>
internal sealed class PrincipalPart(PrincipalOptions options, ModelFolder before)
{
    // All triplets together miss the whole by rounding.
    private const double Rounding = 1e-9;

    private readonly List<PrincipalMatrix> _matrices = [];

    /// <summary>What is to be changed in the tuned model.</summary>
    public WeightCorrections Corrections { get; } = new();

    /// <summary>The matrices that were collected, in order.</summary>
    public IReadOnlyList<PrincipalMatrix> Matrices => _matrices;

    /// <summary>Keeps the leading triplets of a matrix's update.</summary>
    /// <exception cref="InputException">
    /// The triplets that were computed hold less energy than is to be kept, or are fewer than the rank.
    /// </exception>
    public void Collect(MatrixSpectra matrix, Triplets change)
    {
        double whole = change.FrobeniusNorm * change.FrobeniusNorm;
        if (whole == 0)
            return;
        int rank = options.Rank ?? RankOf(change, whole);
        bool isShort = matrix.Svd.Truncated && rank > change.Count;
        rank = Math.Min(rank, change.Count);
        double kept = change.Values.Take(rank).Sum(value => value * value);
        if (isShort || (options.Rank is null && kept < options.Energy * whole * (1 - Rounding)))
        {
            throw new InputException(
                $"{matrix.Name}: {change.Count} triplets of the update were computed, which are too few for the "
                    + "principal part; expected a larger --rank, or the exact SVD"
            );
        }

        _matrices.Add(
            new PrincipalMatrix(matrix.Name, rank, Math.Min(1, kept / whole), Math.Sqrt(Math.Max(0, whole - kept)))
        );
        HostMatrix left = change.Left.TakeRows(rank);
        for (int i = 0; i < rank; i++)
        {
            for (int j = 0; j < left.Columns; j++)
                left.Values[(i * left.Columns) + j] *= change.Values[i];
        }

        HostMatrix right = change.Right.TakeRows(rank);
        Corrections.Add(matrix.Name, weight => Replace(weight, matrix.Name, left.Transposed().Times(right)));
    }

    private int RankOf(Triplets change, double whole)
    {
        double sum = 0;
        int rank = 0;
        while (rank < change.Count && sum < options.Energy * whole * (1 - Rounding))
        {
            sum += change.Values[rank] * change.Values[rank];
            rank++;
        }

        return rank;
    }

    private void Replace(float[] weight, string name, HostMatrix principal)
    {
        float[] start = before.Untied(name).ToFloats();
        for (int i = 0; i < weight.Length; i++)
            weight[i] = (float)(start[i] + principal.Values[i]);
    }
}
