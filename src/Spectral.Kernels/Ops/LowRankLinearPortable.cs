namespace Spectral.Kernels.Ops;

/// <summary>Arguments of the two-source product kernels.</summary>
[KernelArgs("low_rank_linear", "low_rank_linear_forward_bf16", "low_rank_linear_input_gradient_bf16")]
public struct LowRankLinearArgs
{
    /// <summary>[rows, depth]: x, or dy.</summary>
    public ulong X;

    /// <summary>W: [columns, depth] forward, [depth, columns] for the input gradient.</summary>
    public ulong Weight;

    /// <summary>[rows, rank]: Scale · c ∘ z, or Scale · c ∘ g.</summary>
    public ulong Z;

    /// <summary>L [columns, rank], or R [rank, columns].</summary>
    public ulong Factor;

    /// <summary>[columns], or 0.</summary>
    public ulong Bias;

    /// <summary>[rows, columns]: y, or dx.</summary>
    public ulong Y;

    /// <summary>M.</summary>
    public int Rows;

    /// <summary>Columns of the result.</summary>
    public int Columns;

    /// <summary>Length of the frozen product's sums.</summary>
    public int Depth;

    /// <summary>p.</summary>
    public int Rank;

    /// <summary>1: add to what y holds.</summary>
    public int Accumulate;
}

/// <summary>Both products in one kernel on mma.sync: the sums run over the frozen operands, then over the low-rank ones.</summary>
internal sealed class LowRankLinearPortable : LowRankLinearVariant
{
    private const int Tile = 128;
    private const int Threads = 128;
    private const int SharedBytes = 49152;

    public override LowRankVariant Kind => LowRankVariant.Portable;

    public override string Name => "portable";

    public override bool IsLibrary => false;

    public override string? Refuses(in LowRankCase call) =>
        call.Type != DType.BF16 ? "it is BF16 only"
        : call.Layout is LowRankLayout.WideWeight or LowRankLayout.LaidOut ? "W is not a matrix of its own"
        : null;

    public override void Run(in LowRankProduct product)
    {
        LowRankCase call = product.Case;
        var args = new LowRankLinearArgs
        {
            X = product.X.Pointer,
            Weight = product.Weight.Pointer,
            Z = product.Source.Pointer,
            Factor = product.Factor.Pointer,
            Bias = product.Bias?.Pointer ?? 0,
            Y = product.Y.Pointer,
            Rows = call.Rows,
            Columns = call.Columns,
            Depth = call.Depth,
            Rank = call.Rank,
            Accumulate = product.Accumulate ? 1 : 0,
        };
        int tiles = checked((call.Rows + Tile - 1) / Tile * ((call.Columns + Tile - 1) / Tile));
        string entry = product.Transposed ? "low_rank_linear_forward_bf16" : "low_rank_linear_input_gradient_bf16";
        call.Device.Kernel("low_rank_linear", entry).Launch(args, tiles, Threads, SharedBytes);
    }
}
