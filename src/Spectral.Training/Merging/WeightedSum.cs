using System.Numerics.Tensors;

namespace Spectral.Training.Merging;

/// <summary>The sum of weighted changes on the base, θ0 + Σ w_i τ_i, which several methods share.</summary>
internal static class WeightedSum
{
    /// <summary>The merge of each tensor, with the weights that its inputs have.</summary>
    public static TensorMerge Merge { get; } = _ => (piece, result) => Add(piece, piece.Weights, result);

    /// <summary>Writes the sum for a piece, with the changes as they now are.</summary>
    public static void Add(MergePiece piece, IReadOnlyList<double> weights, Span<float> result)
    {
        piece.Base.CopyTo(result);
        for (int i = 0; i < weights.Count; i++)
            TensorPrimitives.MultiplyAdd(piece.Change(i), (float)weights[i], result, result);
    }
}
