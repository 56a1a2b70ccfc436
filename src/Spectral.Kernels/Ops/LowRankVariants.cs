using Spectral.Kernels.Ops.Dispatch;

namespace Spectral.Kernels.Ops;

/// <summary>How <see cref="LowRankLinear"/> adds the low-rank product to the frozen one.</summary>
public enum LowRankVariant
{
    /// <summary>Frozen product, then the low-rank one added to it: y = x Wᵀ; y += z Lᵀ.</summary>
    ComposedA,

    /// <summary>Low-rank product, then the frozen one added to it: y = z Lᵀ; y += x Wᵀ.</summary>
    ComposedB,

    /// <summary>One tensor-core kernel (mma.sync, sm_80 and later) whose sums run over both; BF16 only.</summary>
    Portable,

    /// <summary>
    /// The same on wgmma and TMA: compute capability 9.0 only, BF16, in, out and rank multiples of 8.
    /// </summary>
    Hopper,

    /// <summary>
    /// One library product over operands that are laid out side by side (<see cref="AugmentedLinear"/>); where they are
    /// not, composed as in B.
    /// </summary>
    Augmented,
}

/// <summary>How the operands of a low-rank layer lie in memory.</summary>
internal enum LowRankLayout
{
    /// <summary>Each is a matrix of its own.</summary>
    Apart,

    /// <summary>As before, and dropout masks the x of the low-rank product.</summary>
    Dropped,

    /// <summary>W is columns of a wider matrix, activations are not.</summary>
    WideWeight,

    /// <summary>z behind x and L behind W in their rows, or g behind dy and R below W.</summary>
    LaidOut,
}

/// <summary>Which of its two products a low-rank layer computes.</summary>
internal enum LowRankDirection
{
    /// <summary>y = x Wᵀ + s Lᵀ + bias.</summary>
    Forward,

    /// <summary>dx = dy W + s R.</summary>
    InputGradient,
}

/// <summary>The shape of a product [Rows, Columns] whose sums run over Depth frozen and Rank low-rank terms.</summary>
internal readonly record struct LowRankCase(
    Device Device,
    DType Type,
    LowRankDirection Direction,
    int Rows,
    int Columns,
    int Depth,
    int Rank,
    LowRankLayout Layout = LowRankLayout.Apart
) : IVariantCase<LowRankCase>
{
    public string What =>
        (Direction, Type) switch
        {
            (LowRankDirection.Forward, DType.F32) => "low_rank_linear forward f32",
            (LowRankDirection.Forward, _) => "low_rank_linear forward bf16",
            (_, DType.F32) => "low_rank_linear input_gradient f32",
            _ => "low_rank_linear input_gradient bf16",
        };

    /// <summary>The number of tokens differs from batch to batch: the next power of two stands for it.</summary>
    public LowRankCase Bucket =>
        this with
        {
            Rows = (int)Math.Min(int.MaxValue, System.Numerics.BitOperations.RoundUpToPowerOf2((uint)Rows)),
        };

    public string Key =>
        $"{What} {Rows}x{Columns}x{Depth} rank {Rank}{(Layout == LowRankLayout.WideWeight ? " wide" : "")}";
}

/// <summary>The operands of one such product: <c>Y (+)= X op(Weight) + Scale · Source op(Factor) + Bias</c>.</summary>
/// <param name="Case">Direction, type and shapes.</param>
/// <param name="X">[Rows, Depth]: x, or dy.</param>
/// <param name="Weight">W: [Columns, Depth] forward (transposed in the product), [Depth, Columns] for the input
/// gradient.</param>
/// <param name="Source">[Rows, Rank]: z or g, already times the middle diagonal; a matrix of its own unless the variant
/// is a library's.</param>
/// <param name="Scale">1 unless the variant is a library's.</param>
/// <param name="Factor">L [Columns, Rank] (transposed in the product), or R [Rank, Columns].</param>
/// <param name="Bias">[Columns], or null.</param>
/// <param name="Y">[Rows, Columns].</param>
/// <param name="Accumulate">Add to what Y holds.</param>
internal readonly record struct LowRankProduct(
    LowRankCase Case,
    ColumnRange X,
    ColumnRange Weight,
    ColumnRange Source,
    float Scale,
    ColumnRange Factor,
    Tensor? Bias,
    Tensor Y,
    bool Accumulate
)
{
    public bool Transposed => Case.Direction == LowRankDirection.Forward;
}

/// <summary>One way to compute a <see cref="LowRankProduct"/>. Rows and columns are at least 1.</summary>
internal abstract class LowRankLinearVariant : IVariant<LowRankVariant, LowRankCase>
{
    public abstract LowRankVariant Kind { get; }

    public abstract string Name { get; }

    /// <summary>
    /// Whether it is made of library products, for which a scale (alpha) and columns of a wider matrix (leading
    /// dimension) cost nothing. Else the source comes scaled and as a matrix of its own.
    /// </summary>
    public abstract bool IsLibrary { get; }

    public virtual string? Refuses(in LowRankCase call) => null;

    public abstract void Run(in LowRankProduct product);
}
