using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

/// <summary>Runs the second stages of the skinny passes; callers have checked shapes and types.</summary>
internal static class LowRankReduce
{
    private const int RowsPerSum = 32;

    /// <summary>
    /// Computes result = Σ partial [shares, rows, columns], and scaled = scale · c ∘ result from the unrounded sum. One
    /// of the two may be null.
    /// </summary>
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
        LowRankReduceRowsArgs.Kernel.Launch(
            partial.Device,
            (result ?? scaled!.Value).Matrix.DType,
            args,
            Launch.Blocks(count, LowRankReduceRowsArgs.Kernel.Threads)
        );
    }

    /// <summary>
    /// Computes gradient (+)= scale · c ∘ Σ partial [shares, …, columns], from the columns <paramref name="from"/> on
    /// of its rows from an offset on.
    /// </summary>
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
        LowRankReduceGradientArgs.Kernel.Launch(
            gradient.Device,
            args,
            Launch.Blocks(gradient.Count, LowRankReduceGradientArgs.Kernel.Threads)
        );
    }

    /// <summary>Computes scaled = scale · c ∘ source, c along the columns; scaled may be the source.</summary>
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
        LowRankScaleColumnsArgs.Kernel.Launch(
            source.Matrix.Device,
            source.Matrix.DType,
            args,
            Launch.Blocks((long)source.Rows * source.Count, LowRankScaleColumnsArgs.Kernel.Threads)
        );
    }

    /// <summary>
    /// Computes gradient[i] (+)= scale · Σ_t g[t,i] z[t,i] for the first entries of c, as many as the gradient has.
    /// </summary>
    public static void MiddleGradient(in ColumnRange g, in ColumnRange z, float scale, Tensor gradient, bool accumulate)
    {
        int count = gradient.Dim(0);
        int chunks = Launch.Blocks(g.Rows, RowsPerSum);
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
        LowRankMiddlePartialArgs.Kernel.Launch(
            device,
            g.Matrix.DType,
            first,
            Launch.Blocks(partial.Count, LowRankMiddlePartialArgs.Kernel.Threads)
        );
        var second = new LowRankMiddleGradientArgs
        {
            Partial = partial.Pointer,
            Destination = gradient.Pointer,
            Chunks = chunks,
            Count = count,
            Scale = scale,
            Accumulate = accumulate ? 1 : 0,
        };
        LowRankMiddleGradientArgs.Kernel.Launch(
            device,
            second,
            Launch.Blocks(count, LowRankMiddleGradientArgs.Kernel.Threads / 32)
        );
    }
}
