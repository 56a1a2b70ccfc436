namespace Spectral.Training.Merging;

/// <summary>One layer of a merge that was written as a plain LoRA.</summary>
/// <param name="Name">The name of the module.</param>
/// <param name="Outputs">The number of rows of its weight.</param>
/// <param name="Inputs">The number of columns of its weight.</param>
/// <param name="Error">
/// The Frobenius norm of what the LoRA lacks of the change, relative to that of the change.
/// </param>
public sealed record LowRankLayer(string Name, int Outputs, int Inputs, double Error);
