namespace Spectral.Training.Traces;

/// <summary>The scalars of an adapter's rank-1 modules over some records.</summary>
/// <param name="Tokens">The number of tokens that the modules' statistics are over.</param>
/// <param name="Modules">The traced modules, in model order.</param>
/// <param name="Skipped">The names of adapted layers that are not of rank 1, or whose inputs are not traced.</param>
/// <param name="Records">The first records, token by token.</param>
public sealed record RankOneTraces(
    long Tokens,
    IReadOnlyList<TracedModule> Modules,
    IReadOnlyList<string> Skipped,
    IReadOnlyList<TracedRecord> Records
);
