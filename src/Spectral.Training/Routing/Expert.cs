namespace Spectral.Training.Routing;

/// <summary>One of several adapters of a base, among which each prompt chooses.</summary>
/// <param name="Name">The name of the input that it was made from.</param>
/// <param name="Directory">The path of the adapter's folder.</param>
public sealed record Expert(string Name, string Directory);
