namespace Spectral.Kernels.Ops;

/// <summary>Arguments of <c>low_rank_reduce_rows</c>: sums partial results of z or g and scales a copy.</summary>
[KernelArgs("low_rank_reduce", "low_rank_reduce_rows_f32", "low_rank_reduce_rows_bf16")]
public struct LowRankReduceRowsArgs
{
    /// <summary>[shares, count] F32.</summary>
    public ulong Partial;

    /// <summary>[columns] F32, or 0.</summary>
    public ulong Middle;

    /// <summary>[count], or 0.</summary>
    public ulong Result;

    /// <summary>[count], or 0.</summary>
    public ulong Scaled;

    /// <summary>Rows times columns.</summary>
    public long Count;

    /// <summary>Columns of a row.</summary>
    public int Columns;

    /// <summary>Elements from one row to the next.</summary>
    public int ResultStride;

    /// <summary>Elements from one row to the next.</summary>
    public int ScaledStride;

    /// <summary>Partial results per element.</summary>
    public int Shares;

    /// <summary>Factor of the scaled copy.</summary>
    public float Scale;
}

/// <summary>Arguments of <c>low_rank_reduce_gradient</c>: sums partial gradients of L or R.</summary>
[KernelArgs("low_rank_reduce", "low_rank_reduce_gradient_f32")]
public struct LowRankReduceGradientArgs
{
    /// <summary>[shares, stride] F32.</summary>
    public ulong Partial;

    /// <summary>[columns] F32, or 0.</summary>
    public ulong Middle;

    /// <summary>[count] F32.</summary>
    public ulong Destination;

    /// <summary>Elements of the destination.</summary>
    public long Count;

    /// <summary>Elements of one share.</summary>
    public long Stride;

    /// <summary>Columns of a partial result's row.</summary>
    public int Columns;

    /// <summary>First of them that the destination has.</summary>
    public int From;

    /// <summary>Partial results per element.</summary>
    public int Shares;

    /// <summary>Factor of the sums.</summary>
    public float Scale;

    /// <summary>1: add to the destination.</summary>
    public int Accumulate;
}

/// <summary>Arguments of <c>low_rank_scale_columns</c>.</summary>
[KernelArgs("low_rank_reduce", "low_rank_scale_columns_f32", "low_rank_scale_columns_bf16")]
public struct LowRankScaleColumnsArgs
{
    /// <summary>[rows, columns].</summary>
    public ulong Source;

    /// <summary>[columns] F32, or 0.</summary>
    public ulong Middle;

    /// <summary>[rows, columns].</summary>
    public ulong Scaled;

    /// <summary>Rows.</summary>
    public int Rows;

    /// <summary>Columns.</summary>
    public int Columns;

    /// <summary>Elements from row to row.</summary>
    public int SourceStride;

    /// <summary>Elements from row to row.</summary>
    public int ScaledStride;

    /// <summary>Factor of all columns.</summary>
    public float Scale;
}

/// <summary>Arguments of <c>low_rank_middle_partial</c>: sums of g ∘ z over 32 rows.</summary>
[KernelArgs("low_rank_reduce", "low_rank_middle_partial_f32", "low_rank_middle_partial_bf16")]
public struct LowRankMiddlePartialArgs
{
    /// <summary>[rows, columns].</summary>
    public ulong G;

    /// <summary>[rows, columns].</summary>
    public ulong Z;

    /// <summary>[⌈rows / 32⌉, count] F32.</summary>
    public ulong Partial;

    /// <summary>Rows.</summary>
    public int Rows;

    /// <summary>Elements from row to row.</summary>
    public int GStride;

    /// <summary>Elements from row to row.</summary>
    public int ZStride;

    /// <summary>Columns that are summed: the first.</summary>
    public int Count;
}

/// <summary>Arguments of <c>low_rank_middle_gradient</c>: the second stage of the gradient of c.</summary>
[KernelArgs("low_rank_reduce", "low_rank_middle_gradient_f32")]
public struct LowRankMiddleGradientArgs
{
    /// <summary>[chunks, count] F32.</summary>
    public ulong Partial;

    /// <summary>[count] F32.</summary>
    public ulong Destination;

    /// <summary>Partial results per entry.</summary>
    public int Chunks;

    /// <summary>Entries.</summary>
    public int Count;

    /// <summary>Factor of the sums.</summary>
    public float Scale;

    /// <summary>1: add to the destination.</summary>
    public int Accumulate;
}

/// <summary>Second stages of the skinny passes; callers have checked shapes and types.</summary>
internal static class LowRankReduce
{
    private const string Module = "low_rank_reduce";
    private const int Threads = 256;
    private const int RowsPerSum = 32;
    private const int WarpsPerBlock = Threads / 32;

    /// <summary>result = Σ partial [shares, rows, columns]; scaled = scale · c ∘ result, from the unrounded sum. One of them may be null.</summary>
    public static void Rows(Tensor partial, in ColumnRange? result, Tensor? middle, float scale, in ColumnRange? scaled)
    {
        (int shares, int columns) = (partial.Dim(0), partial.Dim(2));
        long count = (long)partial.Dim(1) * columns;
        var args = new LowRankReduceRowsArgs
        {
            Partial = partial.Pointer,
            Middle = middle?.Pointer ?? 0,
            Result = result?.Pointer ?? 0,
            Scaled = scaled?.Pointer ?? 0,
            Count = count,
            Columns = columns,
            ResultStride = result?.Stride ?? 0,
            ScaledStride = scaled?.Stride ?? 0,
            Shares = shares,
            Scale = scale,
        };
        string entry = Launch.Entry(
            (result ?? scaled!.Value).Matrix.DType,
            "low_rank_reduce_rows_f32",
            "low_rank_reduce_rows_bf16"
        );
        partial.Device.Kernel(Module, entry).Launch(args, Blocks(count), Threads);
    }

    /// <summary>gradient (+)= scale · c ∘ Σ partial [shares, …, columns], columns <paramref name="from"/> on of its rows from an offset on.</summary>
    public static void Gradient(
        Tensor partial,
        int shares,
        long offset,
        int columns,
        int from,
        Tensor? middle,
        float scale,
        Tensor gradient,
        bool accumulate
    )
    {
        if (gradient.Count == 0)
            return;
        var args = new LowRankReduceGradientArgs
        {
            Partial = partial.Pointer + (ulong)offset * sizeof(float),
            Middle = middle?.Pointer ?? 0,
            Destination = gradient.Pointer,
            Count = gradient.Count,
            Stride = partial.Count / shares,
            Columns = columns,
            From = from,
            Shares = shares,
            Scale = scale,
            Accumulate = accumulate ? 1 : 0,
        };
        gradient.Device.Kernel(Module, "low_rank_reduce_gradient_f32").Launch(args, Blocks(gradient.Count), Threads);
    }

    /// <summary>scaled = scale · c ∘ source, c along the columns; may be the same columns.</summary>
    public static void ScaleColumns(in ColumnRange source, Tensor? middle, float scale, in ColumnRange scaled)
    {
        var args = new LowRankScaleColumnsArgs
        {
            Source = source.Pointer,
            Middle = middle?.Pointer ?? 0,
            Scaled = scaled.Pointer,
            Rows = source.Rows,
            Columns = source.Count,
            SourceStride = source.Stride,
            ScaledStride = scaled.Stride,
            Scale = scale,
        };
        string entry = Launch.Entry(source.Matrix.DType, "low_rank_scale_columns_f32", "low_rank_scale_columns_bf16");
        source.Matrix.Device.Kernel(Module, entry).Launch(args, Blocks(source.Rows), Threads);
    }

    /// <summary>gradient[i] (+)= scale · Σ_t g[t,i] z[t,i] for its first entries.</summary>
    public static void MiddleGradient(in ColumnRange g, in ColumnRange z, float scale, Tensor gradient, bool accumulate)
    {
        int count = gradient.Dim(0);
        int chunks = (g.Rows + RowsPerSum - 1) / RowsPerSum;
        if (count == 0)
            return;
        Device device = gradient.Device;
        using var partial = Tensor.Empty(device, (chunks, count));
        var first = new LowRankMiddlePartialArgs
        {
            G = g.Pointer,
            Z = z.Pointer,
            Partial = partial.Pointer,
            Rows = g.Rows,
            GStride = g.Stride,
            ZStride = z.Stride,
            Count = count,
        };
        string entry = Launch.Entry(g.Matrix.DType, "low_rank_middle_partial_f32", "low_rank_middle_partial_bf16");
        device.Kernel(Module, entry).Launch(first, Blocks(partial.Count), Threads);
        var second = new LowRankMiddleGradientArgs
        {
            Partial = partial.Pointer,
            Destination = gradient.Pointer,
            Chunks = chunks,
            Count = count,
            Scale = scale,
            Accumulate = accumulate ? 1 : 0,
        };
        device
            .Kernel(Module, "low_rank_middle_gradient_f32")
            .Launch(second, (count + WarpsPerBlock - 1) / WarpsPerBlock, Threads);
    }

    private static int Blocks(long count) => checked((int)((count + Threads - 1) / Threads));
}
