namespace Spectral.Training.Merging;

/// <summary>The change s·B·A of a weight [out, in] by a plain LoRA, as its file has it.</summary>
/// <param name="Left">B [out, rank].</param>
/// <param name="Right">A [rank, in].</param>
/// <param name="Rank">The rank.</param>
/// <param name="Scale">The scale s: alpha divided by the rank, or by its root if the adapter says so.</param>
internal sealed record PlainFactors(float[] Left, float[] Right, int Rank, double Scale);
