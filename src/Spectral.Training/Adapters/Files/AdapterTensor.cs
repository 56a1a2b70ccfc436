using Spectral.Training.IO;

namespace Spectral.Training.Adapters.Files;

/// <summary>A tensor of an adapter as its reader hands it on: as it is stored, or made of what is stored.</summary>
/// <param name="Path">The file, for messages.</param>
/// <param name="Name">Its name in the file, for messages.</param>
/// <param name="Type">The stored element type.</param>
/// <param name="Shape">Dimensions, outermost first.</param>
/// <param name="ToFloats">Reads all elements, row by row; the folder has to be open still.</param>
/// <param name="Source">The tensor as it is stored; null: it is made of others.</param>
internal sealed record AdapterTensor(
    string Path,
    string Name,
    StoredType Type,
    IReadOnlyList<long> Shape,
    Func<float[]> ToFloats,
    SafetensorsTensor? Source = null
)
{
    /// <summary>The name that PEFT would have for it.</summary>
    public string Key { get; init; } = Name;

    /// <summary>A tensor as it is stored.</summary>
    public static AdapterTensor Of(SafetensorsTensor stored) =>
        new(stored.Path, stored.Name, stored.Type, stored.Shape, stored.ToFloats, stored);
}
