using Spectral.Training.IO;

namespace Spectral.Training.Quantization;

/// <summary>
/// Weights in E4M3 with a scale for each tile (<c>weight_block_size</c>, <c>weight_scale_inv</c>) as DeepSeek publishes
/// them, or one for the whole weight or each row (<c>weight_scale</c>). Both kinds of scales are factors of the codes.
/// Scales of activations are ignored: activations are not rounded here.
/// </summary>
internal sealed class Float8Form : StoredForm
{
    /// <summary>What <c>quant_method</c> says.</summary>
    public const string MethodName = "fp8";

    /// <summary>The scales of tiles.</summary>
    public const string TileScales = "weight_scale_inv";

    /// <summary>The key of a tile's rows and columns.</summary>
    public const string TileKey = "weight_block_size";

    private const string Scales = "weight_scale";

    /// <inheritdoc/>
    public override string Method => MethodName;

    /// <inheritdoc/>
    public override IReadOnlyList<string> Companions => [TileScales, Scales];

    /// <inheritdoc/>
    public override IReadOnlyList<string> Ignored => ["input_scale", "output_scale", "activation_scale"];

    /// <inheritdoc/>
    public override void Check(JsonFields settings)
    {
        Tile(settings);
        if (settings.Text("fmt") is not (null or "e4m3" or "float8_e4m3fn"))
            throw settings.Wrong("fmt", "e4m3");
    }

    /// <inheritdoc/>
    public override StoredWeight Open(WeightParts parts, QuantizationSettings settings)
    {
        string name = parts.Find(TileScales) is null ? Scales : TileScales;
        if (name == TileScales)
            parts.RequireNone(Scales, $"the weight has a {TileScales}");
        return Float8Weight.Open(parts, name, Tile(settings.Fields), settings);
    }

    private static (int Rows, int Columns)? Tile(JsonFields settings) => TileSize.Read(settings, TileKey);
}
