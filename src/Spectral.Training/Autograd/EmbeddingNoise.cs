using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Autograd;

/// <summary>
/// Noise on embeddings in training (NEFTune: Jain et al., 2023, arXiv 2310.05914): uniform from −1 to 1 times α/√(L·D)
/// for each of the D features of the L tokens of a record. Padding gets none. It is drawn anew for each micro-batch.
/// </summary>
/// <param name="State">The step state with seed and number of the micro-batch.</param>
/// <param name="Alpha">The strength α.</param>
internal sealed record EmbeddingNoise(StepState State, double Alpha)
{
    private const uint Stream = 0;

    /// <summary>Adds the noise to embeddings [N, D] in place. Their gradient does not change.</summary>
    public void Add(Tensor embeddings, Tensor scales) => RowNoise.Add(State, Stream, scales, embeddings);

    /// <summary>Returns the largest noise of each position.</summary>
    /// <param name="lengths">The number of tokens of each position's record; 0: padding.</param>
    /// <param name="width">D, the number of features.</param>
    public float[] Scales(ReadOnlySpan<int> lengths, int width)
    {
        float[] scales = new float[lengths.Length];
        for (int i = 0; i < scales.Length; i++)
            scales[i] = lengths[i] > 0 ? (float)(Alpha / Math.Sqrt((double)lengths[i] * width)) : 0;
        return scales;
    }
}
