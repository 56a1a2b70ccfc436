using System.Text.Json.Nodes;
using Spectral.Kernels.Quantization;
using Spectral.Training.IO;

namespace Spectral.Training.Quantization;

/// <summary>
/// Writes E4M3 weights with a scale for each tile as DeepSeek publishes them (<see cref="Float8Form"/>).
/// </summary>
internal sealed class WrittenFloat8 : WrittenForm
{
    /// <inheritdoc/>
    public override IReadOnlyList<WeightFormat> Formats => [WeightFormat.Fp8];

    /// <inheritdoc/>
    public override IReadOnlyList<WrittenPart> Parts(
        WeightFormat format,
        int rows,
        int columns,
        bool isNested,
        StoredType type
    )
    {
        ScaleGrid grid = QuantizedLayout.For(format).Grid;
        return
        [
            Codes(StoredType.F8E4M3, rows, columns),
            Scales(Float8Form.TileScales, (rows - 1) / grid.TileRows + 1, (columns - 1) / grid.TileColumns + 1),
        ];
    }

    /// <inheritdoc/>
    public override JsonObject Settings(
        WeightFormat format,
        bool isNested,
        StoredType type,
        IReadOnlyList<string> plain
    )
    {
        ScaleGrid grid = QuantizedLayout.For(format).Grid;
        return new JsonObject
        {
            ["quant_method"] = Float8Form.MethodName,
            ["fmt"] = "e4m3",
            ["activation_scheme"] = "dynamic",
            [Float8Form.TileKey] = new JsonArray(grid.TileRows, grid.TileColumns),
            ["modules_to_not_convert"] = ListOf(plain),
        };
    }
}
