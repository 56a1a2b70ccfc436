namespace Spectral.Kernels;

/// <summary>
/// A linear layer with a frozen weight and a low-rank update, and its adjoint:
/// <c>y = x Wᵀ + bias + Scale · ((x Rᵀ) ∘ c) Lᵀ</c>. With an update of exactly 0 the result is that of the plain layer, bit for bit, as
/// long as the BLAS library sums alike with beta 0 and 1 (OpenBLAS does) and no sum is a negative zero.
/// </summary>
public static class LowRankLinear
{
    /// <summary>Environment variable that forces the variant: one of the names of <see cref="LowRankVariant"/>, e.g. <c>composed-a</c>.</summary>
    public const string VariantVariable = "SPECTRAL_LOWRANK";

    // Every variant there is, a file each: here is where a new one is registered.
    private static readonly VariantTable<LowRankVariant, LowRankCase, LowRankLinearVariant> Variants = new(VariantVariable, Rule,
        new LowRankLinearComposed(LowRankVariant.ComposedA, "composed-a"),
        new LowRankLinearComposed(LowRankVariant.ComposedB, "composed-b"),
        new LowRankLinearPortable(),
        new LowRankLinearHopper());

    /// <summary>Forces a variant where it applies; null (and no <see cref="VariantVariable"/>): by tuning where the device's is enabled, else by rule.</summary>
    /// <exception cref="InvalidOperationException"><see cref="VariantVariable"/> names nothing known.</exception>
    public static LowRankVariant? Variant
    {
        get => Variants.Forced;
        set => Variants.Forced = value;
    }

    /// <summary>
    /// The variant of the forward product that runs on this device in this type when nothing is tuned: the forced one where it applies, else
    /// by rule.
    /// </summary>
    public static VariantUse Choose(Device device, DType type)
    {
        ArgumentNullException.ThrowIfNull(device);
        var call = new LowRankCase(device, type, LowRankDirection.Forward, Rows: 4096, Columns: 4096, Depth: 4096, Rank: 16);
        LowRankLinearVariant variant = Variants.ByRule(call, out string? refusal);
        return new VariantUse(call.What, variant.Name, refusal is null ? null : Variants[Variant!.Value].Name, refusal);
    }

    /// <summary>The variant's name, as <see cref="VariantVariable"/> and reports have it.</summary>
    public static string NameOf(LowRankVariant variant) => Variants[variant].Name;

    // Composed-b is the best order of two library calls on every device; another variant becomes a rule where it was measured to be faster.
    private static LowRankVariant Rule(LowRankCase call) => LowRankVariant.ComposedB;

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

        var call = new LowRankCase(x.Device, x.DType, LowRankDirection.Forward, rows, outputs, inputs, factors.Rank);
        if (outputs == 0)
        {
            LowRank.Project(x, factors.Right, z);
            return;
        }
        // Timing a candidate is running it: all of them write the same results.
        LowRankLinearVariant variant = Variants.Choose(call, (call, x, weight, bias, factors, y, z), static (candidate, layer) =>
            ForwardBy(candidate, layer.call, layer.x, layer.weight, layer.bias, layer.factors, layer.y, layer.z));
        ForwardBy(variant, call, x, weight, bias, factors, y, z);
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

        var call = new LowRankCase(dy.Device, dy.DType, LowRankDirection.InputGradient, rows, inputs, outputs, rank);
        bool wantsDx = dx is not null && rows > 0 && inputs > 0;
        // A candidate is timed on z in the place of g, into a dx of its own: the real one may have to be added to.
        LowRankLinearVariant? variant = !wantsDx ? null : Variants.Choose(call, (call, weight, factors, z, dy), static (candidate, layer) =>
        {
            using Tensor scratch = Tensor.Empty(layer.dy.Device, (layer.call.Rows, layer.call.Columns), layer.dy.DType);
            candidate.Run(new LowRankProduct(layer.call, layer.dy, layer.weight, layer.z, 1, layer.factors.Right, null, scratch, Accumulate: false));
        });
        using Tensor g = Tensor.Empty(dy.Device, (rows, rank), dy.DType);
        using Tensor? scaled = Scaled(factors, variant, g);
        LowRank.OutputGradients(dy, factors, z, g, scaled is null ? null : new ColumnRange?(scaled), gradients, accumulateGradients);
        Tensor source = scaled ?? g;
        float scale = scaled is null ? factors.Scale : 1;
        if (gradients.Right is { } right) LowRank.InputGradient(source, x!, [(right, gradients.RightFrom)], scale, accumulateGradients);
        variant?.Run(new LowRankProduct(call, dy, weight, source, scale, factors.Right, null, dx!, accumulateDx));
    }

    private static void ForwardBy(LowRankLinearVariant variant, in LowRankCase call, Tensor x, Tensor weight, Tensor? bias, LowRankFactors factors, Tensor y, Tensor z)
    {
        using Tensor? scaled = Scaled(factors, variant, z);
        LowRank.Project(x, factors.Right, z, factors.Middle, factors.Scale, scaled);
        variant.Run(new LowRankProduct(call, x, weight, scaled ?? z, scaled is null ? factors.Scale : 1, factors.Left, bias, y, Accumulate: false));
    }

    // A middle diagonal goes into a copy of z or g, and so does a scale where the variant takes none.
    private static Tensor? Scaled(LowRankFactors factors, LowRankLinearVariant? variant, Tensor like) =>
        factors.Middle is not null || (variant is { TakesScale: false } && factors.Scale != 1) ? Tensor.Empty(like.Device, like.Shape, like.DType) : null;

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
