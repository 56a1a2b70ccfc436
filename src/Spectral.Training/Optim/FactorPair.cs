namespace Spectral.Training.Optim;

/// <summary>
/// The two factors of one low-rank term s·L·R of a layer's change, for optimizers that need one to update the other.
/// </summary>
/// <param name="Left">The factor L [out, r].</param>
/// <param name="Right">The factor R [r, in].</param>
/// <param name="Scale">The constant scale s of the term.</param>
public sealed record FactorPair(Parameter Left, Parameter Right, double Scale);
