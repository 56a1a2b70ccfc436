using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

public static partial class LowRank
{
    private const int MergeHeight = 4;

    // Of a block beside a BF16 weight: a tile of tensor cores.
    private const int MergeTileRows = 128;
    private const int MergeTileColumns = 64;

    /// <summary>
    /// Computes destination = W + Scale · L diag(c) R, summed in F32 and rounded once. Beside a BF16 weight an infinite
    /// entry of a factor makes NaN of what it is multiplied with.
    /// </summary>
    /// <param name="weight">W [out, in], F32 or BF16.</param>
    /// <param name="factors">The update, of the weight's type, or F32 beside a BF16 weight.</param>
    /// <param name="destination">[out, in] of the weight's type; may be <paramref name="weight"/>.</param>
    /// <exception cref="ArgumentException">Shapes, types or devices do not fit.</exception>
    public static void Merge(Tensor weight, LowRankFactors factors, Tensor destination)
    {
        Check.Floating(weight, [-1, -1]);
        int rows = weight.Dim(0);
        int columns = weight.Dim(1);
        factors.Verify(rows, columns, weight);
        if (factors.Left.DType != DType.F32)
            Check.Operand(factors.Left, weight, name: nameof(factors.Left));
        Check.SameAs(destination, weight);
        if (weight.Count == 0)
            return;

        var args = new LowRankMergeArgs
        {
            Weight = weight.Pointer,
            Left = factors.Left.Pointer,
            Middle = factors.Middle?.Pointer ?? 0,
            Right = factors.Right.Pointer,
            Destination = destination.Pointer,
            Rows = rows,
            Columns = columns,
            Rank = factors.Rank,
            Scale = factors.Scale,
        };
        if (weight.DType == DType.F32)
        {
            int vectors = Launch.Blocks(columns, 4);
            Grid grid = (Launch.Blocks(rows, MergeHeight), Launch.Blocks(vectors, LowRankMergeArgs.Kernel.Threads));
            LowRankMergeArgs.Kernel.Launch(weight.Device, DType.F32, args, grid);
            return;
        }

        Grid tiles = (Launch.Blocks(rows, MergeTileRows), Launch.Blocks(columns, MergeTileColumns));
        if (factors.Left.DType == DType.F32)
            LowRankMergeArgs.F32IntoBf16.Launch(weight.Device, args, tiles);
        else
            LowRankMergeArgs.Kernel.Launch(weight.Device, DType.BF16, args, tiles);
    }
}
