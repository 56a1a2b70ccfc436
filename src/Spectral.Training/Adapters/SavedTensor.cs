using Spectral.Kernels;
using Spectral.Training.Adapters.Files;
using Spectral.Training.Models;

namespace Spectral.Training.Adapters;

/// <summary>A tensor of a model, or some rows of one, for which an adapter has its own values.</summary>
/// <param name="Name">The name in the model.</param>
/// <param name="Shape">The shape of the values.</param>
/// <param name="Trains">
/// Whether the tensor trains. Otherwise it comes from a file and merely replaces the base's values.
/// </param>
internal sealed record SavedTensor(string Name, Shape Shape, bool Trains)
{
    private const string RowsLeaf = "token_adapter.trainable_tokens_delta";

    /// <summary>The tokens whose rows these are, in order; null for a whole tensor.</summary>
    public IReadOnlyList<int>? Tokens { get; init; }

    /// <summary>The name of the module that the tensor belongs to.</summary>
    public string Module => ModelTensors.ModuleOf(Name);

    /// <summary>The name among trainable parameters, and in an adapter's file without PEFT's prefix.</summary>
    public string Key => Tokens is null ? Name : $"{Module}.{RowsLeaf}";

    /// <summary>Whether the tensor belongs to the token embedding.</summary>
    public bool IsEmbedding => ModelFamilies.IsEmbedding(Module);

    /// <summary>Whether the tensor belongs to the output head.</summary>
    public bool IsHead => ModelFamilies.IsHead(Module);

    /// <summary>Creates the entry of a whole tensor.</summary>
    public static SavedTensor Of(TensorSpec tensor, bool trains) =>
        new(tensor.Name, Shape.Of([.. tensor.Shape.Select(dimension => checked((int)dimension))]), trains);

    /// <summary>Creates the entry of some rows of an embedding or head.</summary>
    public static SavedTensor RowsOf(TensorSpec tensor, IReadOnlyList<int> tokens) =>
        new(tensor.Name, (tokens.Count, checked((int)tensor.Shape[1])), true) { Tokens = tokens };

    /// <summary>Returns the full name in an adapter's file.</summary>
    /// <param name="isAdapted">
    /// Whether the module also has factors. The tensor's name is then that of a wrapped layer.
    /// </param>
    public string KeyOf(bool isAdapted)
    {
        string leaf = Key[(Module.Length + 1)..];
        return AdapterFolder.KeyOf(Module, isAdapted && Tokens is null ? $"base_layer.{leaf}" : leaf);
    }
}
