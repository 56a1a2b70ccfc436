namespace Spectral.Training.Gguf.Export;

/// <summary>What was written to a GGUF file.</summary>
/// <param name="Tensors">The number of tensors.</param>
/// <param name="Type">The type of the matrices.</param>
/// <param name="Warnings">What llama.cpp computes or splits otherwise than the model, one line each.</param>
public sealed record GgufResult(int Tensors, GgufType Type, IReadOnlyList<string> Warnings);
