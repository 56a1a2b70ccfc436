namespace Spectral.Training.Traces;

/// <summary>A record with the scalars of all rank-1 modules at each of its tokens.</summary>
/// <param name="Tokens">The ids of the tokens, [tokens].</param>
/// <param name="Values">The scalars h by module, in the order of the modules, then token: [modules][tokens].</param>
public sealed record TracedRecord(int[] Tokens, IReadOnlyList<double[]> Values);
