using Spectral.Training.Models;

namespace Spectral.Training.Adapters;

/// <summary>The sizes of a model that its virtual tokens have to fit.</summary>
/// <param name="Hidden">The width D of the embeddings.</param>
/// <param name="Layers">The number of layers.</param>
/// <param name="Heads">The number of query heads.</param>
/// <param name="KeyValueHeads">The number of key and value heads, KV.</param>
/// <param name="HeadDimension">The width of a head, hd.</param>
internal sealed record PromptSizes(int Hidden, int Layers, int Heads, int KeyValueHeads, int HeadDimension)
{
    /// <summary>The width of the keys of one layer, and of its values: KV·hd.</summary>
    public int KeyWidth => KeyValueHeads * HeadDimension;

    /// <summary>The width of the keys and values of all layers.</summary>
    public int PrefixWidth => checked(2 * Layers * KeyWidth);

    /// <summary>Returns the sizes of a model.</summary>
    public static PromptSizes Of(ModelConfig model) =>
        new(model.HiddenSize, model.Layers, model.Heads, model.KeyValueHeads, model.HeadDimension);
}
