namespace Spectral.Training.Adapters;

/// <summary>One factor of a plain LoRA as its file holds it.</summary>
/// <param name="Name">The full name.</param>
/// <param name="Shape">The dimensions, outermost first.</param>
/// <param name="Read">Computes the values, row by row.</param>
internal sealed record LoraTensor(string Name, IReadOnlyList<long> Shape, Func<float[]> Read);
