namespace Spectral.Training.Models;

/// <summary>Consecutive rows of logits whose losses have one factor on their gradients.</summary>
/// <param name="Rows">The number of rows.</param>
/// <param name="Factor">The factor.</param>
internal readonly record struct RowGroup(int Rows, float Factor);
