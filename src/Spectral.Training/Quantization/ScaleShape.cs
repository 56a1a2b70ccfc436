using Spectral.Kernels.Quantization;
using Spectral.Training.IO;

namespace Spectral.Training.Quantization;

/// <summary>Tells from the shape of a tensor of scales which elements of a weight share one.</summary>
internal static class ScaleShape
{
    /// <summary>Returns which elements share a scale.</summary>
    /// <param name="scales">The tensor of the scales, of floats or powers of two.</param>
    /// <param name="rows">The rows of the weight.</param>
    /// <param name="columns">The columns of the weight.</param>
    /// <param name="tile">The rows and columns of a tile, where the config gives them.</param>
    /// <exception cref="InputException">The scales have another type or shape.</exception>
    public static ScaleGrid GridOf(SafetensorsTensor scales, int rows, int columns, (int Rows, int Columns)? tile)
    {
        if (!scales.Type.IsFloat() && scales.Type != StoredType.F8E8M0)
            throw WeightParts.Wrong(scales, "F32, F16, BF16 or F8_E8M0");
        long[][] one =
        [
            [],
            [1],
            [1, 1],
        ];
        long[][] oneInARow =
        [
            [rows],
            [rows, 1],
        ];
        if (tile is { } size)
        {
            long[] tiles = [Parts(rows, size.Rows), Parts(columns, size.Columns)];
            return scales.Shape.SequenceEqual(tiles)
                ? ScaleGrid.Tiles(size.Rows, size.Columns)
                : throw WeightParts.Wrong(
                    scales,
                    $"{InputText.Shape(tiles)} for tiles of {size.Rows} × {size.Columns} in [{rows}, {columns}]"
                );
        }

        if (Array.Exists(one, scales.Shape.SequenceEqual))
            return ScaleGrid.PerTensor;
        if (Array.Exists(oneInARow, scales.Shape.SequenceEqual))
            return ScaleGrid.PerRow;
        throw WeightParts.Wrong(scales, $"one scale, or [{rows}, 1] for the rows of [{rows}, {columns}]");
    }

    private static int Parts(int size, int part) => (size - 1) / part + 1;
}
