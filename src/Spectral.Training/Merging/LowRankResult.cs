namespace Spectral.Training.Merging;

/// <summary>A merge that was written as a plain LoRA, and how much of it the LoRA lacks.</summary>
/// <param name="Layers">The layers with factors.</param>
/// <param name="Error">
/// The Frobenius norm of what the LoRA lacks of the change of all tensors, relative to that of the change.
/// </param>
/// <param name="LeftOut">
/// The changed tensors that are no weights of linear layers in blocks, and so are not in the LoRA.
/// </param>
public sealed record LowRankResult(IReadOnlyList<LowRankLayer> Layers, double Error, IReadOnlyList<string> LeftOut)
{
    /// <summary>The number of tensors written.</summary>
    public int Tensors => 2 * Layers.Count;
}
