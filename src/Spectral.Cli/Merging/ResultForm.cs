namespace Spectral.Cli.Merging;

/// <summary>What a merge is written as: a checkpoint unless one of these is chosen.</summary>
/// <param name="Rank">The rank of the LoRA of --as-adapter; null: no such LoRA.</param>
/// <param name="OfFactors">Whether it is the LoRA that --factors makes of the inputs' factors.</param>
/// <param name="Gguf">The GGUF file that it is written as; null: it is written into a folder.</param>
internal sealed record ResultForm(int? Rank, bool OfFactors, GgufForm? Gguf = null);
