namespace Spectral.Training;

/// <summary>A linear layer as an adapter method sees it.</summary>
/// <param name="Name">Module path.</param>
/// <param name="Out">Output features.</param>
/// <param name="In">Input features.</param>
/// <param name="HasBias">Whether the layer has a bias of its own.</param>
public readonly record struct ModuleShape(string Name, int Out, int In, bool HasBias = false);
