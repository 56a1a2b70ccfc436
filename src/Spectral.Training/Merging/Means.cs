using System.Numerics.Tensors;

namespace Spectral.Training.Merging;

/// <summary>The mean of the inputs' values, Σ θ_i / N, which several methods share.</summary>
internal static class Means
{
    /// <summary>Writes the mean for a piece.</summary>
    public static void Of(MergePiece piece, int inputs, Span<float> result)
    {
        piece.Values(0).CopyTo(result);
        for (int i = 1; i < inputs; i++)
            TensorPrimitives.Add(result, piece.Values(i), result);
        TensorPrimitives.Divide(result, inputs, result);
    }
}
