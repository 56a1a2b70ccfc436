namespace Spectral.Training.Traces;

/// <summary>A token at which a rank-1 module was especially active.</summary>
/// <param name="Record">The index of the record, from 0.</param>
/// <param name="Position">The index of the token in the record, from 0.</param>
/// <param name="Token">The id of the token.</param>
/// <param name="Value">The scalar h there.</param>
public sealed record TracedToken(int Record, int Position, int Token, double Value);
