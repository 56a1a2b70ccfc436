using Spectral.Kernels.Ops.Dispatch;

namespace Spectral.Kernels.Ops;

/// <summary>
/// Computes a linear layer with a frozen weight and a low-rank update, and its adjoint: <c>y = x Wᵀ + bias + Scale ·
/// ((x Rᵀ) ∘ c) Lᵀ</c>. With an update of exactly 0 the result is that of the plain layer, bit for bit, as long as the
/// BLAS library sums alike with beta 0 and 1 (OpenBLAS does) and no sum is a negative zero. Layers that read the same x
/// are computed together by a <see cref="LowRankStack"/>; this is a stack of one.
/// </summary>
/// <example>
/// <code>
/// LowRankFactors factors = new(left, Middle: null, right, Scale: 2);
/// using Tensor z = Tensor.Empty(device, (x.Dim(0), factors.Rank));
/// LowRankLinear.Forward(x, weight, bias: null, factors, y, z); // y = x Wᵀ + 2 (x Rᵀ) Lᵀ
///
/// using Tensor dLeft = Tensor.Empty(device, left.Shape);
/// using Tensor dRight = Tensor.Empty(device, right.Shape);
/// LowRankGradients gradients = new(Left: dLeft, Right: dRight);
/// LowRankLinear.Backward(x, weight, factors, z, dy, dx, gradients);
/// </code>
/// </example>
public static class LowRankLinear
{
    /// <summary>
    /// Environment variable that forces the variant: one of the names of <see cref="LowRankVariant"/>, e.g.
    /// <c>composed-a</c>.
    /// </summary>
    public const string VariantVariable = "SPECTRAL_LOWRANK";

    // Every variant there is, a file each: here is where a new one is registered.
    internal static readonly VariantTable<LowRankVariant, LowRankCase, LowRankLinearVariant> Variants = new(
        VariantVariable,
        Rule,
        new LowRankLinearComposed(LowRankVariant.ComposedA, "composed-a"),
        new LowRankLinearComposed(LowRankVariant.ComposedB, "composed-b"),
        new LowRankLinearPortable(),
        new LowRankLinearHopper(),
        new LowRankLinearAugmented()
    );

    /// <summary>
    /// Returns the variant that is forced on a device: by <see cref="Force"/>, else by <see cref="VariantVariable"/>;
    /// null: none.
    /// </summary>
    /// <exception cref="InvalidOperationException"><see cref="VariantVariable"/> names nothing known.</exception>
    public static LowRankVariant? Forced(Device device)
    {
        ArgumentNullException.ThrowIfNull(device);
        return Variants.Forced(device);
    }

    /// <summary>
    /// Forces a variant on one device, where it applies; null leaves the choice to tuning if the device has it enabled,
    /// or else to the rule.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such variant.</exception>
    public static void Force(Device device, LowRankVariant? variant)
    {
        ArgumentNullException.ThrowIfNull(device);
        Variants.Force(device, variant);
    }

    /// <summary>
    /// Returns the variant of the forward product on a device in a type when nothing is tuned: the forced one where it
    /// applies, or else the one by rule.
    /// </summary>
    public static VariantUse Choose(Device device, DType type)
    {
        ArgumentNullException.ThrowIfNull(device);
        LowRankLayout layout = Forced(device) == LowRankVariant.Augmented ? LowRankLayout.LaidOut : LowRankLayout.Apart;
        var call = new LowRankCase(
            device,
            type,
            LowRankDirection.Forward,
            Rows: 4096,
            Columns: 4096,
            Depth: 4096,
            Rank: 16,
            layout
        );
        LowRankLinearVariant variant = Variants.ByRule(call, out string? refusal);
        return new VariantUse(
            call.What,
            variant.Name,
            refusal is null ? null : Variants[Forced(device)!.Value].Name,
            refusal
        );
    }

    /// <summary>
    /// Returns whether layers whose operands can be laid out for <see cref="AugmentedLinear"/> run that way, which they
    /// do only where it is forced. Tuning does not time it, since the layout concerns the operations around the layer.
    /// </summary>
    public static bool Augments(Device device, DType type)
    {
        ArgumentNullException.ThrowIfNull(device);
        var call = new LowRankCase(
            device,
            type,
            LowRankDirection.Forward,
            Rows: 4096,
            Columns: 4096,
            Depth: 4096,
            Rank: 16,
            LowRankLayout.LaidOut
        );
        return Variants.ByRule(call, out _).Kind == LowRankVariant.Augmented;
    }

    /// <summary>Returns the name of a variant, as <see cref="VariantVariable"/> and reports write it.</summary>
    public static string NameOf(LowRankVariant variant) => Variants[variant].Name;

    // Composed-b is the best order of two library calls on every device; another variant becomes a rule where it was
    // measured to be faster.
    private static LowRankVariant Rule(LowRankCase call) => LowRankVariant.ComposedB;

    /// <summary>
    /// Computes y = x Wᵀ + bias + Scale · (z ∘ c) Lᵀ with z = x Rᵀ, which is kept for <see cref="Backward"/>.
    /// </summary>
    /// <param name="x">[M, in], F32 or BF16.</param>
    /// <param name="weight">W [out, in], same type.</param>
    /// <param name="bias">[out], same type, or null.</param>
    /// <param name="factors">The update; same type.</param>
    /// <param name="y">[M, out], same type; overwritten.</param>
    /// <param name="z">[M, p], same type; overwritten with x Rᵀ.</param>
    /// <param name="dropout">Applied to the x of z; null: none.</param>
    /// <exception cref="ArgumentException">Shapes, types or devices do not fit.</exception>
    public static void Forward(
        Tensor x,
        Tensor weight,
        Tensor? bias,
        LowRankFactors factors,
        Tensor y,
        Tensor z,
        DropoutMask? dropout = null
    ) => new LowRankStack(factors).Forward(x, [new LowRankLayer(weight, bias)], [y], z, dropout);

    /// <summary>
    /// The adjoint of <see cref="Forward"/>: with g = dy L, <c>dx = dy W + Scale · (g ∘ c) R</c>, <c>dL = Scale · dyᵀ
    /// (z ∘ c)</c>, <c>dcᵢ = Scale · Σₜ gₜᵢ zₜᵢ</c>, <c>dR = Scale · (g ∘ c)ᵀ x</c>; only what is asked for.
    /// </summary>
    /// <param name="x">[M, in] of the forward pass; may be null when no gradient of R is wanted.</param>
    /// <param name="weight">W [out, in].</param>
    /// <param name="factors">The update of the forward pass.</param>
    /// <param name="z">[M, p], what the forward pass kept.</param>
    /// <param name="dy">[M, out].</param>
    /// <param name="dx">[M, in], or null when it is not wanted.</param>
    /// <param name="gradients">Where the parameters' gradients go.</param>
    /// <param name="accumulate">Which results are added to what their tensors hold.</param>
    /// <param name="dropout">That of the forward pass.</param>
    /// <exception cref="ArgumentException">Shapes, types or devices do not fit.</exception>
    public static void Backward(
        Tensor? x,
        Tensor weight,
        LowRankFactors factors,
        Tensor z,
        Tensor dy,
        Tensor? dx,
        in LowRankGradients gradients,
        Accumulate accumulate = Accumulate.Nothing,
        DropoutMask? dropout = null
    ) =>
        new LowRankStack(factors).Backward(
            x,
            [new LowRankLayer(weight, null)],
            z,
            [dy],
            dx,
            [gradients],
            accumulate,
            dropout
        );
}
