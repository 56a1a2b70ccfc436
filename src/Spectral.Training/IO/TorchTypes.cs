namespace Spectral.Training.IO;

/// <summary>PyTorch's names of the types of floating point, as configs have them.</summary>
internal static class TorchTypes
{
    private static readonly (StoredType Type, string Name)[] Pairs =
    [
        (StoredType.F32, "float32"),
        (StoredType.F16, "float16"),
        (StoredType.BF16, "bfloat16"),
        (StoredType.F64, "float64"),
    ];

    /// <summary>Returns the name of a type of floating point.</summary>
    public static string NameOf(StoredType type) => Array.Find(Pairs, pair => pair.Type == type).Name;

    /// <summary>Returns the type of a name; null: there is none, or it is no type of floating point.</summary>
    public static StoredType? Find(string? name)
    {
        int at = Array.FindIndex(Pairs, pair => pair.Name == name);
        return at < 0 ? null : Pairs[at].Type;
    }
}
