using Spectral.Training.Models;

namespace Spectral.Training.Adapters;

/// <summary>A linear layer, or an embedding, as an adapter method sees it.</summary>
/// <param name="Name">The path of the module in the model.</param>
/// <param name="Out">The number of output features.</param>
/// <param name="In">The number of input features.</param>
/// <param name="HasBias">Whether the layer has a bias of its own.</param>
public readonly record struct ModuleShape(string Name, int Out, int In, bool HasBias = false)
{
    /// <summary>
    /// The sizes of the model, if the module is a soft prompt, or a layer of an adapter with a soft prompt beside it;
    /// null: nobody asks for them.
    /// </summary>
    internal PromptSizes? Prompt { get; init; }

    /// <summary>Whether the module is an embedding, with one row per output that is looked up by token.</summary>
    public bool IsEmbedding => ModelFamilies.IsEmbedding(Name);

    /// <summary>Whether the module is an output head.</summary>
    internal bool IsHead => ModelFamilies.IsHead(Name);

    /// <summary>Describes a layer of a model.</summary>
    public static ModuleShape Of(Linear layer) => new(layer.Name, layer.Out, layer.In, layer.Bias is not null);

    /// <summary>Describes a layer of a model whose weights are not loaded.</summary>
    public static ModuleShape Of(LinearSpec layer) => new(layer.Name, layer.Outputs, layer.Inputs, layer.HasBias);
}
