using Spectral.Training.Gguf;

namespace Spectral.Cli.Merging;

/// <summary>A GGUF file as what a merge is written as.</summary>
/// <param name="Type">The type of the matrices; null: that of the base.</param>
internal sealed record GgufForm(GgufType? Type);
