using Spectral.Kernels.Ops.Dispatch;

namespace Spectral.Kernels.Ops;

/// <summary>
/// Multiplies activations with a frozen weight W [out, in], plain or quantised, forward and for the gradient of the
/// input.
/// </summary>
public static class FrozenProduct
{
    /// <summary>
    /// Environment variable that forces how quantised weights are multiplied with: <c>panel</c>, <c>matvec</c>,
    /// <c>fused</c> or <c>hopper</c>.
    /// </summary>
    public const string VariantVariable = "SPECTRAL_QUANTIZED";

    // Every variant there is, a file each: here is where a new one is registered.
    private static readonly VariantTable<QuantizedVariant, QuantizedCase, QuantizedProductVariant> Variants = new(
        VariantVariable,
        Rule,
        new PanelProduct(),
        new MatvecProduct(),
        new FusedProduct(),
        new HopperQuantizedProduct()
    );

    /// <summary>
    /// Forces a variant on one device, where it applies; null leaves the choice to tuning if the device has it enabled,
    /// or else to the rule.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such variant.</exception>
    public static void Force(Device device, QuantizedVariant? variant)
    {
        ArgumentNullException.ThrowIfNull(device);
        Variants.Force(device, variant);
    }

    /// <summary>Computes y = x Wᵀ + beta · y.</summary>
    /// <param name="x">[M, in], F32 or BF16.</param>
    /// <param name="weight">W [out, in], same type unless it is quantised.</param>
    /// <param name="y">[M, out], same type; overwritten, or added to.</param>
    /// <param name="beta">0 to overwrite y, 1 to add to it.</param>
    /// <exception cref="ArgumentException">Shapes, types or devices do not fit.</exception>
    public static void Forward(ColumnRange x, FrozenWeight weight, ColumnRange y, float beta = 0)
    {
        Check.Floating(x);
        weight.Verify(x, nameof(weight), nameof(x));
        Check.Operand(x, x, [-1, weight.Columns]);
        Check.Operand(y, x, [x.Rows, weight.Rows]);
        VerifyFactor(beta);
        if (x.Rows == 0 || weight.Rows == 0)
            return;
        if (weight.Quantized is { } quantized)
        {
            Run(LowRankDirection.Forward, x, quantized, y, beta);
            return;
        }

        Gemm.Run(
            x.Operand,
            weight.Dense.Operand.Transpose(),
            y.Operand,
            new GemmSize(x.Rows, weight.Rows, weight.Columns),
            1,
            beta
        );
    }

    /// <summary>Computes dx = dy W + beta · dx, the adjoint of <see cref="Forward"/>.</summary>
    /// <param name="dy">[M, out], F32 or BF16.</param>
    /// <param name="weight">W [out, in], same type unless it is quantised.</param>
    /// <param name="dx">[M, in], same type; overwritten, or added to.</param>
    /// <param name="beta">0 to overwrite dx, 1 to add to it.</param>
    /// <exception cref="ArgumentException">Shapes, types or devices do not fit.</exception>
    public static void InputGradient(ColumnRange dy, FrozenWeight weight, ColumnRange dx, float beta = 0)
    {
        Check.Floating(dy);
        weight.Verify(dy, nameof(weight), nameof(dy));
        Check.Operand(dy, dy, [-1, weight.Rows]);
        Check.Operand(dx, dy, [dy.Rows, weight.Columns]);
        VerifyFactor(beta);
        if (dy.Rows == 0 || weight.Columns == 0)
            return;
        if (weight.Quantized is { } quantized)
        {
            Run(LowRankDirection.InputGradient, dy, quantized, dx, beta);
            return;
        }

        Gemm.Run(
            dy.Operand,
            weight.Dense.Operand,
            dx.Operand,
            new GemmSize(dy.Rows, weight.Columns, weight.Rows),
            1,
            beta
        );
    }

    private static void Run(
        LowRankDirection direction,
        in ColumnRange x,
        QuantizedMatrix weight,
        in ColumnRange y,
        float beta
    )
    {
        var call = new QuantizedCase(
            weight.Device,
            x.Matrix.DType,
            direction,
            weight.Layout.Format,
            x.Rows,
            y.Count,
            x.Count,
            FusedProduct.Takes(weight) && x.IsWhole && y.IsWhole
        );
        var product = new QuantizedProduct(call, x, weight, y, beta != 0);
        Variants.Choose(call, product, static product => new QuantizedTrial(product)).Run(product);
    }

    // A few rows are bound by reading W, once in codes; else a library product is the fastest there is that was
    // measured. On the CPU device that holds for one row too.
    private static QuantizedVariant Rule(QuantizedCase call) =>
        call.Device.Kind == DeviceKind.Cuda
        && call.Direction == LowRankDirection.Forward
        && call.Rows <= MatvecProduct.MostRows
            ? QuantizedVariant.Matvec
            : QuantizedVariant.Panel;

    private static void VerifyFactor(float beta)
    {
        if (beta is not (0 or 1))
            throw new ArgumentException($"beta is {beta}, expected 0 or 1", nameof(beta));
    }
}
