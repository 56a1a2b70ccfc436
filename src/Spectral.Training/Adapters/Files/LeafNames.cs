namespace Spectral.Training.Adapters.Files;

/// <summary>The names of the tensors that a method declares.</summary>
/// <param name="Own">The names of a module's own tensors, after its path.</param>
/// <param name="Shared">The names of tensors that all modules share.</param>
/// <param name="Places">Those of either that hold places of a weight, and not numbers.</param>
internal sealed record LeafNames(HashSet<string> Own, HashSet<string> Shared, HashSet<string> Places);
