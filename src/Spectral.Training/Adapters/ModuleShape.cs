using Spectral.Training.Models;

namespace Spectral.Training.Adapters;

/// <summary>A linear layer, or an embedding, as an adapter method sees it.</summary>
/// <param name="Name">Module path.</param>
/// <param name="Out">Output features.</param>
/// <param name="In">Input features.</param>
/// <param name="HasBias">Whether the layer has a bias of its own.</param>
public readonly record struct ModuleShape(string Name, int Out, int In, bool HasBias = false)
{
    /// <summary>Whether it is an embedding, whose rows, one per output, are looked up.</summary>
    public bool IsEmbedding => Name == ModelTensors.EmbeddingModule;
}
