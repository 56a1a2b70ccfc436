using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

/// <summary>
/// Sums products along the rows or columns of two matrices, or over all of them: the adjoint of <see
/// cref="BroadcastMultiply"/>.
/// </summary>
public static class BroadcastDot
{
    // A warp's time for its reduction against that of its additions, and enough threads for a GPU on thin matrices; the
    // second stage stays short.
    private const int ColumnsPerChunk = 2048;
    private const int RowsPerChunk = 64;
    private const int MaxChunks = 1024;

    /// <summary>
    /// Computes <c>result[k] = scale · Σ x∘y (+ result[k])</c> over row k (<see cref="Broadcast.PerRow"/>), column k
    /// (<see cref="Broadcast.PerColumn"/>) or everything (<see cref="Broadcast.Single"/>). The sums are F64, in an
    /// order that depends on the shape alone. NaN propagates.
    /// </summary>
    /// <param name="x">Any shape, F32; the last dimension is the columns.</param>
    /// <param name="y">Shape of x, F32; may be x.</param>
    /// <param name="result">F32, one element per sum; must not overlap x or y.</param>
    /// <param name="broadcast">Says which elements are summed.</param>
    /// <param name="scale">Factor of the sums.</param>
    /// <param name="accumulate">Whether it is added to what the result holds.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit; or <see cref="Broadcast.PerElement"/>,
    /// which sums nothing.</exception>
    public static void Run(
        Tensor x,
        Tensor y,
        Tensor result,
        Broadcast broadcast,
        float scale = 1,
        bool accumulate = false
    )
    {
        if (broadcast == Broadcast.PerElement)
        {
            throw new ArgumentException(
                "PerElement sums nothing: expected PerRow, PerColumn or Single",
                nameof(broadcast)
            );
        }

        (int rows, int columns) = BroadcastShape.Of(x, result, broadcast);
        Check.SameAs(y, x);
        if (x.Count == 0)
        {
            if (!accumulate)
                result.Clear();
            return;
        }
        bool perColumn = broadcast == Broadcast.PerColumn;
        long length = broadcast switch
        {
            Broadcast.PerColumn => rows,
            Broadcast.PerRow => columns,
            _ => x.Count,
        };
        long chunk = Math.Max(perColumn ? RowsPerChunk : ColumnsPerChunk, (length / MaxChunks + 4) & ~3L);
        int results = checked((int)result.Count);
        int chunks = Launch.Blocks(length, (int)chunk);
        using Tensor? partials = chunks == 1 ? null : Tensor.Empty(x.Device, (results, chunks), DType.F64);
        var args = new BroadcastDotArgs
        {
            X = x.Pointer,
            Y = y.Pointer,
            Partials = partials?.Pointer ?? 0,
            Result = result.Pointer,
            Rows = perColumn ? rows : results,
            Columns = perColumn ? columns : length,
            Chunk = chunk,
            Chunks = chunks,
            Scale = scale,
            Accumulate = accumulate ? 1 : 0,
        };
        long sums = (long)results * chunks;
        if (perColumn)
            BroadcastDotArgs.PerColumn.Launch(x.Device, args, Launch.Blocks(sums, Launch.FlatThreads));
        else
            BroadcastDotArgs.PerRow.Launch(x.Device, args, Launch.RowBlocks(sums));
        if (partials is not null)
            Finish(partials, result, scale, accumulate);
    }

    /// <summary>Adds partial sums: <c>result[k] = scale · Σ_c partials[k, c] (+ result[k])</c>.</summary>
    internal static void Finish(Tensor partials, Tensor result, float scale, bool accumulate)
    {
        var args = new BroadcastDotFinishArgs
        {
            Partials = partials.Pointer,
            Result = result.Pointer,
            Results = partials.Dim(0),
            Chunks = partials.Dim(1),
            Scale = scale,
            Accumulate = accumulate ? 1 : 0,
        };
        BroadcastDotFinishArgs.Kernel.Launch(result.Device, args, Launch.RowBlocks(args.Results));
    }
}
