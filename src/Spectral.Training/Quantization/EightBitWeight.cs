using Spectral.Kernels.Quantization;
using Spectral.Training.IO;

namespace Spectral.Training.Quantization;

/// <summary>
/// A weight in bitsandbytes' 8-bit layout ("LLM.int8()"): signed bytes, and the largest magnitude of each row, of which
/// 127 stands for the whole.
/// </summary>
internal static class EightBitWeight
{
    private const string RowLargest = "SCB";
    private const string Format = "weight_format";
    private const float LargestCode = 127;

    /// <summary>The parts of such a weight beside its codes.</summary>
    public static IReadOnlyList<string> Companions { get; } = [RowLargest, Format];

    /// <inheritdoc cref="StoredForm.Open"/>
    public static StoredWeight Open(WeightParts parts, QuantizationSettings settings)
    {
        SafetensorsTensor stored = parts.Require(StoredForm.Weight, "I8 codes");
        if (stored.Type != StoredType.I8)
            throw WeightParts.Wrong(stored, "I8 codes, as load_in_8bit says");
        (int rows, int columns) = parts.RequireMatrix(stored, stored.StoredShape);
        // Older versions could store rows in the order of a matrix instruction.
        if (parts.Find(Format) is { } format && format.Data.ContainsAnyExcept((byte)0))
            throw WeightParts.Wrong(format, "0, rows in their own order");
        return new StoredWeight(
            parts.Name,
            settings.DenseType,
            (rows, columns),
            new QuantizedLayout(WeightFormat.Int8, ScaleGrid.PerRow),
            new StoredCodes(stored, 8),
            CodeTables.Int8,
            new StoredScales(parts.RequireFloats(RowLargest, rows), LargestCode),
            parts.InOrder(StoredForm.Weight, RowLargest)
        );
    }
}
