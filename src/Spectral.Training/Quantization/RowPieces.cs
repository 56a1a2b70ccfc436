using Spectral.Kernels.Ops;

namespace Spectral.Training.Quantization;

/// <summary>
/// Divides the rows of a quantised matrix into pieces that are filled or read at a time, so that at most about 4
/// million elements are in F32.
/// </summary>
internal static class RowPieces
{
    private const int Elements = 1 << 22;

    /// <summary>Returns the first row and the number of rows of each piece, in order.</summary>
    public static IEnumerable<(int From, int Count)> Of(QuantizedMatrix matrix)
    {
        int rows = Math.Max(1, Elements / (matrix.PieceRows * matrix.Columns)) * matrix.PieceRows;
        for (int from = 0; from < matrix.Rows; from += rows)
            yield return (from, Math.Min(rows, matrix.Rows - from));
    }
}
