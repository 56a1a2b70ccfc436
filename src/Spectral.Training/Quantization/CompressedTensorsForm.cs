using Spectral.Kernels.Quantization;
using Spectral.Training.IO;

namespace Spectral.Training.Quantization;

/// <summary>
/// Weights as compressed-tensors stores them: E4M3 or signed bytes with a scale for the weight, for each row or for
/// each tile, or MXFP4. Which of these a weight is, its own tensors say. Scales of activations are ignored: activations
/// are not rounded here.
/// </summary>
internal sealed class CompressedTensorsForm : StoredForm
{
    /// <summary>What <c>quant_method</c> says.</summary>
    public const string MethodName = "compressed-tensors";

    /// <summary>The scales of any kind.</summary>
    public const string Scales = "weight_scale";

    /// <summary>How a folder says that its codes are signed bytes.</summary>
    public const string IntegerFormat = "int-quantized";

    private const string Packed = "weight_packed";
    private const string ZeroPoint = "weight_zero_point";
    private const string Order = "weight_g_idx";
    private const string GlobalScale = "weight_global_scale";
    private const string Mxfp4Format = "mxfp4-pack-quantized";
    private const string FormatKey = "format";
    private const string TileKey = "block_structure";
    private const int Mxfp4Block = 32;

    private static readonly string[] Formats =
    [
        "float-quantized",
        IntegerFormat,
        "naive-quantized",
        Mxfp4Format,
        "mixed-precision",
    ];

    /// <inheritdoc/>
    public override string Method => MethodName;

    /// <inheritdoc/>
    public override IReadOnlyList<string> Companions => [Packed, Scales, ZeroPoint, Order, GlobalScale];

    /// <inheritdoc/>
    public override IReadOnlyList<string> Ignored =>
        ["weight_shape", "input_scale", "input_zero_point", "input_global_scale", "output_scale", "output_zero_point"];

    /// <inheritdoc/>
    public override void Check(JsonFields settings)
    {
        CheckFormat(settings);
        if (settings.Object("sparsity_config") is { } sparsity && sparsity.Text(FormatKey) is not (null or "dense"))
            throw sparsity.Wrong(FormatKey, "dense");
        foreach (JsonFields group in Groups(settings))
        {
            CheckFormat(group);
            if (group.Object("weights") is not { } weights)
                continue;
            if (weights.Boolean("symmetric") == false)
                throw weights.Wrong("symmetric", "true: codes with a zero point are not read");
            TileSize.Read(weights, TileKey);
        }
    }

    /// <inheritdoc/>
    public override StoredWeight Open(WeightParts parts, QuantizationSettings settings)
    {
        RequireSymmetric(parts);
        if (parts.Find(Packed) is not null)
            return Mxfp4(parts, settings);
        SafetensorsTensor stored = parts.Require(Weight, "F8_E4M3 or I8 codes");
        (int Rows, int Columns)? tile = IsTiled(parts) ? Tile(settings.Fields) : null;
        return stored.Type == StoredType.I8
            ? Int8(parts, settings, tile)
            : Float8Weight.Open(parts, Scales, tile, settings);
    }

    private static StoredWeight Int8(WeightParts parts, QuantizationSettings settings, (int Rows, int Columns)? tile)
    {
        SafetensorsTensor stored = parts.Require(Weight, "I8 codes");
        (int rows, int columns) = parts.RequireMatrix(stored, stored.StoredShape);
        SafetensorsTensor scales = parts.Require(Scales, "the scales of I8 codes");
        return new StoredWeight(
            parts.Name,
            settings.DenseType,
            (rows, columns),
            new QuantizedLayout(WeightFormat.Int8, ScaleShape.GridOf(scales, rows, columns, tile)),
            new StoredCodes(stored, 8),
            CodeTables.Int8,
            new StoredScales(scales),
            parts.InOrder(Weight, Scales)
        );
    }

    private static StoredWeight Mxfp4(WeightParts parts, QuantizationSettings settings)
    {
        SafetensorsTensor packed = parts.Require(Packed, "U8 codes");
        parts.RequireNone(Weight, $"the weight has a {Packed}");
        parts.RequireNone(GlobalScale, "only MXFP4 is read of four-bit floats");
        if (packed.Type != StoredType.U8 || packed.Shape.Count != 2)
            throw WeightParts.Wrong(packed, "U8 [rows, columns / 2] of MXFP4");
        (int rows, int columns) = parts.RequireMatrix(packed, [packed.Shape[0], 2 * packed.Shape[1]]);
        if (columns % Mxfp4Block != 0)
            throw WeightParts.Wrong(packed, $"rows of whole blocks of {Mxfp4Block} codes");
        SafetensorsTensor scales = parts.Require(Scales, "the powers of two of MXFP4 codes");
        bool isPower = scales.Type is StoredType.U8 or StoredType.F8E8M0;
        if (!isPower || !scales.Shape.SequenceEqual([rows, columns / Mxfp4Block]))
            throw WeightParts.Wrong(scales, $"U8 [{rows}, {columns / Mxfp4Block}]");
        return new StoredWeight(
            parts.Name,
            settings.DenseType,
            (rows, columns),
            new QuantizedLayout(WeightFormat.Mxfp4, ScaleGrid.Tiles(1, Mxfp4Block)),
            new StoredCodes(packed, 4, FirstIsLow: true),
            CodeTables.Float4,
            new PowerScales(scales),
            parts.InOrder(Packed, Scales)
        );
    }

    // Symmetric weights may be stored with zero points of 0.
    private static void RequireSymmetric(WeightParts parts)
    {
        parts.RequireNone(Order, "codes in another order than the weight are not read");
        if (parts.Find(ZeroPoint) is { } zeros && zeros.Data.ContainsAnyExcept((byte)0))
            throw WeightParts.Wrong(zeros, "zeros: codes with a zero point are not read");
    }

    private static bool IsTiled(WeightParts parts) =>
        parts.Find(Scales) is { Shape: [> 1, > 1] } or { Shape: [1, > 1] };

    private static (int Rows, int Columns)? Tile(JsonFields settings) =>
        Groups(settings)
            .Select(group => group.Object("weights"))
            .Select(weights => weights is { } given ? TileSize.Read(given, TileKey) : null)
            .FirstOrDefault(tile => tile is not null);

    private static IEnumerable<JsonFields> Groups(JsonFields settings) =>
        settings.Object("config_groups") is { } groups
            ? groups.Element.EnumerateObject().Select(group => groups.Nested(group.Name, group.Value))
            : [];

    private static void CheckFormat(JsonFields fields)
    {
        if (fields.Text(FormatKey) is { } format && !Formats.Contains(format))
            throw fields.Wrong(FormatKey, string.Join(", ", Formats));
    }
}
