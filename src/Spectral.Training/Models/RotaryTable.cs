using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Models;

/// <summary>The cosines and sines by which the pairs of a head's first features turn at each position.</summary>
/// <param name="Cosine">The cosines of the n pairs, [P, n] F32.</param>
/// <param name="Sine">The sines of the n pairs, [P, n] F32.</param>
/// <param name="Interleaved">
/// Whether the features of a pair are neighbours, 2i and 2i + 1; otherwise they are i and i + n.
/// </param>
/// <param name="Rest">The factor on the features after the first 2n, which do not turn.</param>
public readonly record struct RotaryTable(Tensor Cosine, Tensor Sine, bool Interleaved = false, float Rest = 1)
{
    /// <summary>
    /// Turns queries or keys [B·S, H·hd] and splits their heads, to <paramref name="y"/> [B, H, S, hd].
    /// </summary>
    internal void Turn(ColumnRange x, Tensor? offsets, Tensor y, Tensor? spans = null) =>
        Rope.Forward(x, Cosine, Sine, offsets, y, Interleaved, Rest, spans);

    /// <summary>
    /// Turns a gradient [B, H, S, hd] back and merges its heads, to <paramref name="dx"/> [B·S, H·hd].
    /// </summary>
    internal void TurnBack(Tensor dy, ColumnRange dx, Tensor? spans = null) =>
        Rope.Backward(dy, Cosine, Sine, dx, Interleaved, Rest, spans);
}
