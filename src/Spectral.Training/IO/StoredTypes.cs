namespace Spectral.Training.IO;

/// <summary>The names and widths of the stored types.</summary>
public static class StoredTypes
{
    private static readonly (StoredType Type, string Name, int Bits)[] Table =
    [
        (StoredType.Bool, "BOOL", 8),
        (StoredType.U8, "U8", 8),
        (StoredType.I8, "I8", 8),
        (StoredType.F4, "F4", 4),
        (StoredType.F6E2M3, "F6_E2M3", 6),
        (StoredType.F6E3M2, "F6_E3M2", 6),
        (StoredType.F8E5M2, "F8_E5M2", 8),
        (StoredType.F8E4M3, "F8_E4M3", 8),
        (StoredType.F8E8M0, "F8_E8M0", 8),
        (StoredType.F8E5M2Fnuz, "F8_E5M2FNUZ", 8),
        (StoredType.F8E4M3Fnuz, "F8_E4M3FNUZ", 8),
        (StoredType.I16, "I16", 16),
        (StoredType.U16, "U16", 16),
        (StoredType.F16, "F16", 16),
        (StoredType.BF16, "BF16", 16),
        (StoredType.I32, "I32", 32),
        (StoredType.U32, "U32", 32),
        (StoredType.F32, "F32", 32),
        (StoredType.I64, "I64", 64),
        (StoredType.U64, "U64", 64),
        (StoredType.F64, "F64", 64),
        (StoredType.C64, "C64", 64),
    ];

    private static readonly Dictionary<string, StoredType> ByName = Table.ToDictionary(
        row => row.Name,
        row => row.Type
    );

    /// <summary>Returns the name in the file's header, such as <c>BF16</c>.</summary>
    public static string HeaderName(this StoredType type) => Table[(int)type].Name;

    /// <summary>Returns the number of bits of one element.</summary>
    public static int Bits(this StoredType type) => Table[(int)type].Bits;

    /// <summary>Returns whether values of this type can be read as F32 (F32, F16, BF16, F64).</summary>
    public static bool IsFloat(this StoredType type) =>
        type is StoredType.F32 or StoredType.F16 or StoredType.BF16 or StoredType.F64;

    /// <summary>Looks up the type of a name in a header.</summary>
    public static bool TryParse(string name, out StoredType type) => ByName.TryGetValue(name, out type);
}
