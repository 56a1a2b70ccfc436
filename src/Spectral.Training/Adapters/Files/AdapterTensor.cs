using Spectral.Training.IO;
using Spectral.Training.Packing;

namespace Spectral.Training.Adapters.Files;

/// <summary>A tensor of an adapter as its reader sees it: stored as it is, or made from stored tensors.</summary>
/// <param name="Path">The file, for messages.</param>
/// <param name="Name">The name in the file, for messages.</param>
/// <param name="Type">The stored element type.</param>
/// <param name="Shape">The dimensions, outermost first.</param>
/// <param name="ToFloats">Reads all elements, row by row. The folder has to be open.</param>
/// <param name="Source">The stored tensor; null if this one is made from others.</param>
internal sealed record AdapterTensor(
    string Path,
    string Name,
    StoredType Type,
    IReadOnlyList<long> Shape,
    Func<float[]> ToFloats,
    SafetensorsTensor? Source = null
)
{
    /// <summary>The name that PEFT gives the tensor.</summary>
    public string Key { get; init; } = Name;

    /// <summary>Returns a tensor as it is stored.</summary>
    public static AdapterTensor Of(SafetensorsTensor stored) =>
        new(stored.Path, stored.Name, stored.Type, stored.Shape, stored.ToFloats, stored);

    /// <summary>Returns a tensor that is stored in packed form.</summary>
    public static AdapterTensor Of(UnpackedTensor packed, string path) =>
        new(path, packed.Name, StoredType.F32, packed.Shape, packed.ToFloats);
}
