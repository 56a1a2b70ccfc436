using Spectral.Kernels;

namespace Spectral.Training;

/// <summary>A tensor of a model that an adapter has its own values of.</summary>
/// <param name="Name">Its name in the model.</param>
/// <param name="Shape">Its shape, the model's.</param>
/// <param name="Trains">Whether it trains; otherwise it only stands in for the base's, as a file brought it along.</param>
internal sealed record SavedTensor(string Name, Shape Shape, bool Trains)
{
    /// <summary>The module it belongs to.</summary>
    public string Module => Name[..Name.LastIndexOf('.')];

    /// <summary>The tensor of a model.</summary>
    public static SavedTensor Of(TensorSpec tensor, bool trains) =>
        new(tensor.Name, Shape.Of([.. tensor.Shape.Select(dimension => checked((int)dimension))]), trains);

    /// <summary>The name under which an adapter's file has it.</summary>
    /// <param name="isAdapted">Whether the module has factors too, which makes the tensor that of a wrapped layer.</param>
    public string KeyOf(bool isAdapted)
    {
        string leaf = Name[(Module.Length + 1)..];
        return AdapterFolder.KeyOf(Module, isAdapted ? $"base_layer.{leaf}" : leaf);
    }
}
