using Spectral.Kernels.Quantization;
using Spectral.Training.IO;

namespace Spectral.Training.Quantization;

/// <summary>A weight of E4M3 codes with float scales for tiles, for rows, or for the whole.</summary>
internal static class Float8Weight
{
    /// <summary>Makes a weight of its stored tensors.</summary>
    /// <param name="parts">The stored tensors.</param>
    /// <param name="scalePart">The part that has the scales.</param>
    /// <param name="tile">The rows and columns that share a scale; null: whole rows, or all of them.</param>
    /// <param name="settings">What the config says.</param>
    /// <exception cref="InputException">A tensor is missing, or its type or shape is wrong.</exception>
    public static StoredWeight Open(
        WeightParts parts,
        string scalePart,
        (int Rows, int Columns)? tile,
        QuantizationSettings settings
    )
    {
        SafetensorsTensor stored = parts.Require(StoredForm.Weight, "F8_E4M3 codes");
        if (stored.Type != StoredType.F8E4M3)
            throw WeightParts.Wrong(stored, "F8_E4M3 codes");
        (int rows, int columns) = parts.RequireMatrix(stored, stored.StoredShape);
        SafetensorsTensor scales = parts.Require(scalePart, "the scales of F8_E4M3 codes");
        return new StoredWeight(
            parts.Name,
            settings.DenseType,
            (rows, columns),
            new QuantizedLayout(WeightFormat.Fp8, ScaleShape.GridOf(scales, rows, columns, tile)),
            new StoredCodes(stored, 8),
            CodeTables.Float8,
            scales.Type == StoredType.F8E8M0 ? new PowerScales(scales) : new StoredScales(scales),
            parts.InOrder(StoredForm.Weight, scalePart)
        );
    }
}
