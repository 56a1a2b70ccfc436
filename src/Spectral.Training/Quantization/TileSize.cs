using Spectral.Training.IO;

namespace Spectral.Training.Quantization;

/// <summary>Reads the sizes of tiles that share a scale.</summary>
internal static class TileSize
{
    private const int Largest = 1 << 20;

    /// <summary>Reads rows and columns of a tile; null: the key is absent.</summary>
    /// <exception cref="InputException">They are no two whole numbers.</exception>
    public static (int Rows, int Columns)? Read(JsonFields fields, string key) =>
        fields.IntegerOrList(key, 1, Largest) switch
        {
            null => null,
            { Count: 2 } size => (size[0], size[1]),
            _ => throw fields.Wrong(key, "the rows and columns of a tile"),
        };
}
