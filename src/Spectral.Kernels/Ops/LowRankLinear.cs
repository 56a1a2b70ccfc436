namespace Spectral.Kernels;

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

/// <summary>How <see cref="LowRankLinear"/> adds the low-rank product to the frozen one.</summary>
public enum LowRankVariant
{
    /// <summary>Frozen product, then the low-rank one added to it: y = x Wᵀ; y += z Lᵀ.</summary>
    ComposedA,
    /// <summary>Low-rank product, then the frozen one added to it: y = z Lᵀ; y += x Wᵀ.</summary>
    ComposedB,
    /// <summary>One tensor-core kernel (mma.sync, sm_80 and later) whose sums run over both; BF16 only.</summary>
    Portable,
}

/// <summary>
/// A linear layer with a frozen weight and a low-rank update, and its adjoint:
/// <c>y = x Wᵀ + bias + Scale · ((x Rᵀ) ∘ c) Lᵀ</c>. With an update of exactly 0 the result is that of the plain layer, bit for bit, as
/// long as the BLAS library sums alike with beta 0 and 1 (OpenBLAS does) and no sum is a negative zero.
/// </summary>
public static class LowRankLinear
{
    /// <summary>Environment variable that forces the variant: <c>composed-a</c>, <c>composed-b</c> or <c>portable</c>.</summary>
    public const string VariantVariable = "SPECTRAL_LOWRANK";

    private const int Tile = 128, Threads = 256, SharedBytes = 98304;

    private static readonly ForcedChoice<LowRankVariant> Forced = new(VariantVariable,
        ("composed-a", LowRankVariant.ComposedA), ("composed-b", LowRankVariant.ComposedB), ("portable", LowRankVariant.Portable));

    /// <summary>Forces a variant; null (and no <see cref="VariantVariable"/>): by rule.</summary>
    /// <exception cref="InvalidOperationException"><see cref="VariantVariable"/> names nothing known.</exception>
    public static LowRankVariant? Variant
    {
        get => Forced.Value;
        set => Forced.Value = value;
    }

    /// <summary>
    /// The variant that runs on this device in this type. The rule: composed-b, the best order of two library calls, on every device; what is
    /// forced otherwise, save that portable is BF16 only and F32 stays with composed-b.
    /// </summary>
    public static LowRankVariant Choose(Device device, DType type)
    {
        ArgumentNullException.ThrowIfNull(device);
        LowRankVariant variant = Variant ?? LowRankVariant.ComposedB;
        return variant == LowRankVariant.Portable && type != DType.BF16 ? LowRankVariant.ComposedB : variant;
    }

    /// <summary>The variant's name, as <see cref="VariantVariable"/> and reports have it.</summary>
    public static string NameOf(LowRankVariant variant) => Forced.NameOf(variant);

    /// <summary>y = x Wᵀ + bias + Scale · (z ∘ c) Lᵀ with z = x Rᵀ, which is kept for <see cref="Backward"/>.</summary>
    /// <param name="x">[M, in], F32 or BF16.</param>
    /// <param name="weight">W [out, in], same type.</param>
    /// <param name="bias">[out], same type, or null.</param>
    /// <param name="factors">The update; same type.</param>
    /// <param name="y">[M, out], same type; overwritten.</param>
    /// <param name="z">[M, p], same type; overwritten with x Rᵀ.</param>
    /// <exception cref="ArgumentException">Shapes, types or devices do not fit.</exception>
    public static void Forward(Tensor x, Tensor weight, Tensor? bias, LowRankFactors factors, Tensor y, Tensor z)
    {
        CheckLayer(x, nameof(x), weight, factors, out int rows, out int outputs, out int inputs);
        Check.Shape(x, nameof(x), -1, inputs);
        CheckOperand(y, nameof(y), weight, rows, outputs);
        CheckOperand(z, nameof(z), weight, rows, factors.Rank);
        if (bias is not null) CheckOperand(bias, nameof(bias), weight, outputs);
        if (rows == 0) return;

        LowRankVariant variant = Choose(x.Device, x.DType);
        using Tensor? scaled = Scaled(factors, variant, z);
        LowRank.Project(x, factors.Right, z, factors.Middle, factors.Scale, scaled);
        Tensor source = scaled ?? z;
        float alpha = scaled is null ? factors.Scale : 1;
        switch (variant)
        {
            case LowRankVariant.Portable:
                Product("low_rank_linear_forward_bf16", x, weight, source, factors.Left, bias, y, rows, outputs, inputs, factors.Rank, false);
                return;
            case LowRankVariant.ComposedA:
                Gemm.Run(x, false, weight, true, y);
                Gemm.Run(source, false, factors.Left, true, y, alpha, 1);
                break;
            default:
                Gemm.Run(source, false, factors.Left, true, y, alpha);
                Gemm.Run(x, false, weight, true, y, 1, 1);
                break;
        }
        if (bias is not null) AddBias.Run(y, bias);
    }

    /// <summary>
    /// The adjoint of <see cref="Forward"/>: with g = dy L, <c>dx = dy W + Scale · (g ∘ c) R</c>, <c>dL = Scale · dyᵀ (z ∘ c)</c>,
    /// <c>dcᵢ = Scale · Σₜ gₜᵢ zₜᵢ</c>, <c>dR = Scale · (g ∘ c)ᵀ x</c>; only what is asked for.
    /// </summary>
    /// <param name="x">[M, in] of the forward pass; may be null when no gradient of R is wanted.</param>
    /// <param name="weight">W [out, in].</param>
    /// <param name="factors">The update of the forward pass.</param>
    /// <param name="z">[M, p], what the forward pass kept.</param>
    /// <param name="dy">[M, out].</param>
    /// <param name="dx">[M, in], or null when it is not wanted.</param>
    /// <param name="gradients">Where the parameters' gradients go.</param>
    /// <param name="accumulateGradients">Add to the parameters' gradients instead of overwriting them.</param>
    /// <param name="accumulateDx">Add to dx instead of overwriting it.</param>
    /// <exception cref="ArgumentException">Shapes, types or devices do not fit.</exception>
    public static void Backward(Tensor? x, Tensor weight, LowRankFactors factors, Tensor z, Tensor dy, Tensor? dx, in LowRankGradients gradients,
        bool accumulateGradients = false, bool accumulateDx = false)
    {
        CheckLayer(dy, nameof(dy), weight, factors, out int rows, out int outputs, out int inputs);
        Check.Shape(dy, nameof(dy), -1, outputs);
        int rank = factors.Rank;
        CheckOperand(z, nameof(z), weight, rows, rank);
        if (x is not null) CheckOperand(x, nameof(x), weight, rows, inputs);
        if (dx is not null) CheckOperand(dx, nameof(dx), weight, rows, inputs);
        if (x is null && gradients.Right is not null) throw new ArgumentNullException(nameof(x), "the gradient of R needs the layer's input");
        gradients.Check(outputs, inputs, rank, dy.Device);

        LowRankVariant variant = Choose(dy.Device, dy.DType);
        using Tensor g = Tensor.Empty(dy.Device, (rows, rank), dy.DType);
        using Tensor? scaled = Scaled(factors, variant, g);
        LowRank.OutputGradients(dy, factors, z, g, scaled, gradients, accumulateGradients);
        Tensor source = scaled ?? g;
        float alpha = scaled is null ? factors.Scale : 1;
        if (gradients.Right is not null) LowRank.InputGradient(source, x!, gradients.Right, gradients.RightFrom, alpha, accumulateGradients);
        if (dx is null || rows == 0) return;
        float beta = accumulateDx ? 1 : 0;
        switch (variant)
        {
            case LowRankVariant.Portable:
                Product("low_rank_linear_input_gradient_bf16", dy, weight, source, factors.Right, null, dx, rows, inputs, outputs, rank, accumulateDx);
                break;
            case LowRankVariant.ComposedA:
                Gemm.Run(dy, false, weight, false, dx, 1, beta);
                Gemm.Run(source, false, factors.Right, false, dx, alpha, 1);
                break;
            default:
                Gemm.Run(source, false, factors.Right, false, dx, alpha, beta);
                Gemm.Run(dy, false, weight, false, dx, 1, 1);
                break;
        }
    }

    // BLAS takes a scale for nothing (alpha); a middle diagonal, and any scale before the two-source kernel, go into a copy of z or g.
    private static Tensor? Scaled(LowRankFactors factors, LowRankVariant variant, Tensor like) =>
        factors.Middle is not null || (variant == LowRankVariant.Portable && factors.Scale != 1) ? Tensor.Empty(like.Device, like.Shape, like.DType) : null;

    private static void Product(string entry, Tensor x, Tensor weight, Tensor z, Tensor factor, Tensor? bias, Tensor y, int rows, int columns, int depth, int rank, bool accumulate)
    {
        if (columns == 0) return;
        var args = new LowRankLinearArgs
        {
            X = x.Pointer, Weight = weight.Pointer, Z = z.Pointer, Factor = factor.Pointer, Bias = bias?.Pointer ?? 0, Y = y.Pointer,
            Rows = rows, Columns = columns, Depth = depth, Rank = rank, Accumulate = accumulate ? 1 : 0,
        };
        int tiles = checked((rows + Tile - 1) / Tile * ((columns + Tile - 1) / Tile));
        x.Device.Kernel("low_rank_linear", entry).Launch(args, tiles, Threads, SharedBytes);
    }

    private static void CheckLayer(Tensor activation, string name, Tensor weight, LowRankFactors factors, out int rows, out int outputs, out int inputs)
    {
        Check.Shape(activation, name, -1, -1);
        Check.Shape(weight, nameof(weight), -1, -1);
        (rows, outputs, inputs) = (activation.Dim(0), weight.Dim(0), weight.Dim(1));
        Check.Floating(activation, name);
        Check.SameDType(activation, name, weight, nameof(weight));
        Check.SameDevice(activation.Device, weight, nameof(weight));
        factors.Check(outputs, inputs, activation.Device);
        Check.SameDType(weight, nameof(weight), factors.Left, nameof(factors.Left));
    }

    private static void CheckOperand(Tensor tensor, string name, Tensor weight, params ReadOnlySpan<int> shape)
    {
        Check.Shape(tensor, name, shape);
        Check.SameDType(weight, nameof(weight), tensor, name);
        Check.SameDevice(weight.Device, tensor, name);
    }
}
