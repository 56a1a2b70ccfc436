using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

public static partial class LowRank
{
    /// <summary>Computes z = x Rᵀ, Scale · c ∘ z, or both.</summary>
    /// <param name="x">[M, in], F32 or BF16.</param>
    /// <param name="right">R [p, in], same type; of several layers, below one another.</param>
    /// <param name="z">[M, p], same type; overwritten. Null: not wanted.</param>
    /// <param name="middle">c [p] F32, used for <paramref name="scaled"/> only; null: ones.</param>
    /// <param name="scale">Used for <paramref name="scaled"/> only.</param>
    /// <param name="scaled">[M, p], same type; overwritten. Null: not wanted.</param>
    /// <param name="dropout">Applied to x, which then is a matrix of its own; null: none.</param>
    /// <exception cref="ArgumentException">Shapes, types or devices do not fit.</exception>
    public static void Project(
        ColumnRange x,
        ColumnRange right,
        ColumnRange? z,
        Tensor? middle = null,
        float scale = 1,
        ColumnRange? scaled = null,
        DropoutMask? dropout = null
    )
    {
        Check.Floating(x);
        Check.Operand(right, x, [-1, x.Count]);
        (Tensor wide, int rows, int columns, int rank) = (x.Matrix, x.Rows, x.Count, right.Rows);
        Device device = wide.Device;
        if (z is null && scaled is null)
            throw new ArgumentNullException(nameof(z), "expected z, scaled or both");
        Check.Optional(z, x, [rows, rank]);
        if (middle is not null)
            Check.Operand(middle, wide, DType.F32, [rank]);
        Check.Optional(scaled, x, [rows, rank]);
        VerifyMasked(x, dropout);
        if (rows == 0 || rank == 0)
            return;

        int ranks = RanksPerRead(rank, WidestSides);
        int groups = Launch.Blocks(rank, ranks);
        KernelEntry<LowRankProjectArgs> pass = ranks switch
        {
            32 => LowRankProjectArgs.Ranks32,
            64 => LowRankProjectArgs.Ranks64,
            _ => LowRankProjectArgs.Ranks128,
        };
        if (Choose("low_rank_project", device, wide.DType, rank, WidestSides, pass.SharedBytes) == LowRankPassKind.Blas)
        {
            using Tensor? kept = Kept(wide, dropout);
            ProductByBlas(
                kept is null ? x.Operand : new(kept, 0, Math.Max(1, columns)),
                right.Operand.Transpose(),
                z,
                middle,
                scale,
                scaled,
                new GemmSize(rows, rank, columns),
                dropout?.Factor ?? 1
            );
            return;
        }
        int blocks = Launch.Blocks(rows, Side);
        int shares = Shares(device, Launch.Blocks(columns, Depth), blocks * groups);
        using Tensor? partial = shares > 1 ? Tensor.Empty(device, (shares, rows, rank)) : null;
        var args = new LowRankProjectArgs
        {
            X = x.Pointer,
            Right = right.Pointer,
            Middle = middle?.Pointer ?? 0,
            Z = z?.Pointer ?? 0,
            Scaled = scaled?.Pointer ?? 0,
            Partial = partial?.Pointer ?? 0,
            Dropout = dropout?.Source(dropout.Factor) ?? default,
            Rows = rows,
            Columns = columns,
            Rank = rank,
            XStride = x.Stride,
            RightStride = right.Stride,
            ResultStride = z?.Stride ?? 0,
            ScaledStride = scaled?.Stride ?? 0,
            Shares = shares,
            Scale = scale,
        };
        pass.Launch(device, args, (blocks, shares, groups));
        if (partial is not null)
            LowRankReduce.Rows(partial, z, middle, scale, scaled);
    }
}
