using Spectral.Kernels.Interop;
using Spectral.Kernels.Ops.Dispatch;

namespace Spectral.Kernels.Ops;

/// <summary>
/// Runs the passes of low-rank linear layers over their wide activations: <c>z = x Rᵀ</c> forward, <c>g = dy L</c> with
/// the gradients of L and c, and the gradient of R backward. Layers that read the same x have their R below one another
/// and their z and g side by side, so that x is read once for all. All sums are F32, in an order that depends on shapes
/// alone. With a <see cref="DropoutMask"/> x stands for <c>mask ∘ x / (1 − p)</c>.
/// </summary>
public static partial class LowRank
{
    /// <summary>
    /// Environment variable that forces <see cref="LowRankPassKind"/>: <c>blas</c> or <c>kernels</c>.
    /// </summary>
    public const string PassVariable = "SPECTRAL_LOWRANK_PASSES";

    private const int Side = 128;
    private const int Depth = 64;
    private const int CpuBlocks = 8;
    private const int WidestSides = 128;

    private static readonly ForcedChoice<LowRankPassKind> PassChoice = new(
        PassVariable,
        ("blas", LowRankPassKind.Blas),
        ("kernels", LowRankPassKind.Kernels)
    );

    /// <summary>
    /// Returns how the passes are forced to run on a device: by <see cref="ForcePasses"/>, else by <see
    /// cref="PassVariable"/>; null: by rule.
    /// </summary>
    /// <exception cref="InvalidOperationException"><see cref="PassVariable"/> names nothing known.</exception>
    public static LowRankPassKind? ForcedPasses(Device device)
    {
        ArgumentNullException.ThrowIfNull(device);
        return PassChoice.On(device);
    }

    /// <summary>Forces how the passes run on one device, where that is possible; null: by rule.</summary>
    public static void ForcePasses(Device device, LowRankPassKind? passes)
    {
        ArgumentNullException.ThrowIfNull(device);
        PassChoice.Force(device, passes);
    }

    // result = factor · wide skinny, scaled = scale · c ∘ result. Without a result the product goes into its scaled
    // copy, by a factor alone where there is no diagonal.
    private static void ProductByBlas(
        in GemmOperand wide,
        in GemmOperand skinny,
        in ColumnRange? result,
        Tensor? middle,
        float scale,
        in ColumnRange? scaled,
        in GemmSize size,
        float factor
    )
    {
        bool folded = result is null && middle is null;
        Gemm.Run(wide, skinny, (result ?? scaled!.Value).Operand, size, folded ? factor * scale : factor);
        if (scaled is { } copy && !folded)
            LowRankReduce.ScaleColumns(result ?? copy, middle, scale, copy);
    }

    // Between library calls the dropped x has to be in memory for a moment; its factor goes into the product's alpha.
    private static Tensor? Kept(Tensor x, DropoutMask? dropout)
    {
        if (dropout is null)
            return null;
        var kept = Tensor.Empty(x.Device, x.Shape, x.DType);
        Dropout.Run(x, kept, dropout, factor: 1);
        return kept;
    }

    // The rule: BLAS on the CPU device; on a GPU the kernels while one read of the wide operand serves all columns, and
    // cuBLAS beyond, in F32, and where a block may not have the shared memory (compute capability 8.6 and 8.9 have 99
    // KiB).
    private static LowRankPassKind Choose(string what, Device device, DType type, int rank, int widest, int sharedBytes)
    {
        string? refusal = null;
        if (type != DType.BF16)
            refusal = "they are BF16 only";
        else if (sharedBytes > device.SharedBytesPerBlock)
            refusal = "the device has too little shared memory for them";
        LowRankPassKind? given = PassChoice.On(device);
        LowRankPassKind wanted =
            given ?? (device.Kind == DeviceKind.Cpu || rank > widest ? LowRankPassKind.Blas : LowRankPassKind.Kernels);
        LowRankPassKind chosen = refusal is null ? wanted : LowRankPassKind.Blas;
        bool vain = given is { } forced && forced != chosen;
        device.Variants.Add(
            new VariantUse(
                what,
                PassChoice.NameOf(chosen),
                vain ? PassChoice.NameOf(wanted) : null,
                vain ? refusal : null
            )
        );
        return chosen;
    }

    // The mask's elements are counted along x, and dropping by library calls needs a copy of it.
    private static void VerifyMasked(in ColumnRange x, DropoutMask? dropout)
    {
        if (dropout is not null && x.Count != x.Stride)
        {
            throw new ArgumentException(
                $"x is {x.Count} columns of {x.Matrix.Shape}, expected all of them with dropout",
                nameof(x)
            );
        }
    }

    private static int RanksPerRead(int rank, int widest) =>
        rank switch
        {
            <= 32 => 32,
            <= 64 => 64,
            _ => widest,
        };

    // Shares of a reduction, so that about every multiprocessor has a block; on the CPU device a fixed number, since
    // results depend on it.
    private static int Shares(Device device, int tiles, int blocks)
    {
        int wanted = (device.Kind == DeviceKind.Cpu ? CpuBlocks : device.MultiprocessorCount) / blocks;
        int shares = Math.Clamp(wanted, 1, Math.Max(1, tiles));
        int each = Math.Max(1, Launch.Blocks(tiles, shares));
        return Math.Max(1, Launch.Blocks(tiles, each));
    }
}
