using Spectral.Kernels;
using Spectral.Training.Adapters.Files;
using Spectral.Training.Models;

namespace Spectral.Training.Adapters;

/// <summary>A tensor of a model, or some rows of one, that an adapter has its own values of.</summary>
/// <param name="Name">Its name in the model.</param>
/// <param name="Shape">The shape of the values.</param>
/// <param name="Trains">
/// Whether it trains; otherwise it only stands in for the base's, as a file brought it along.
/// </param>
internal sealed record SavedTensor(string Name, Shape Shape, bool Trains)
{
    private const string RowsLeaf = "token_adapter.trainable_tokens_delta";

    /// <summary>The tokens whose rows these are, in order; null: it is the whole tensor.</summary>
    public IReadOnlyList<int>? Tokens { get; init; }

    /// <summary>The module it belongs to.</summary>
    public string Module => Name[..Name.LastIndexOf('.')];

    /// <summary>Its name among what trains, and in an adapter's file without PEFT's prefix.</summary>
    public string Key => Tokens is null ? Name : $"{Module}.{RowsLeaf}";

    /// <summary>The tensor of a model.</summary>
    public static SavedTensor Of(TensorSpec tensor, bool trains) =>
        new(tensor.Name, Shape.Of([.. tensor.Shape.Select(dimension => checked((int)dimension))]), trains);

    /// <summary>Rows of an embedding or head.</summary>
    public static SavedTensor RowsOf(TensorSpec tensor, IReadOnlyList<int> tokens) =>
        new(tensor.Name, (tokens.Count, checked((int)tensor.Shape[1])), true) { Tokens = tokens };

    /// <summary>The name under which an adapter's file has it.</summary>
    /// <param name="isAdapted">
    /// Whether the module has factors too, which makes the tensor that of a wrapped layer.
    /// </param>
    public string KeyOf(bool isAdapted)
    {
        string leaf = Key[(Module.Length + 1)..];
        return AdapterFolder.KeyOf(Module, isAdapted && Tokens is null ? $"base_layer.{leaf}" : leaf);
    }
}
