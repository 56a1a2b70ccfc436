namespace Spectral.Training.Adapters;

/// <summary>The change L R of one layer as a plain LoRA with scale 1.</summary>
/// <param name="Module">The layer.</param>
/// <param name="Rank">The number of columns of L.</param>
/// <param name="Left">Computes L [out, n] for an n of at least the rank, padded with zeros.</param>
/// <param name="Right">Computes R [n, in] for an n of at least the rank, padded with zeros.</param>
internal sealed record LoraFactors(AdaptedModule Module, int Rank, Func<int, float[]> Left, Func<int, float[]> Right)
{
    /// <summary>
    /// Returns factors whose values are at hand: L [out, r] and R [r, in], r the rank of the layer's form.
    /// </summary>
    public static LoraFactors Of(AdaptedModule module, float[] left, float[] right)
    {
        int rank = module.Form.Rank;
        return new LoraFactors(
            module,
            rank,
            PaddedLeft,
            size => [.. right, .. new float[(size - rank) * module.Shape.In]]
        );

        float[] PaddedLeft(int size)
        {
            float[] padded = new float[(long)module.Shape.Out * size];
            for (int row = 0; row < module.Shape.Out; row++)
                left.AsSpan(row * rank, rank).CopyTo(padded.AsSpan(row * size));
            return padded;
        }
    }
}
