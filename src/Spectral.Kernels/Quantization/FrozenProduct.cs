using Spectral.Kernels.Ops;

namespace Spectral.Kernels.Quantization;

/// <summary>
/// Multiplies activations with a frozen weight W [out, in], plain or quantised, forward and for the gradient of the
/// input.
/// </summary>
public static class FrozenProduct
{
    /// <summary>Computes y = x Wᵀ + beta · y.</summary>
    /// <param name="x">[M, in], F32 or BF16.</param>
    /// <param name="weight">W [out, in], same type unless it is quantised.</param>
    /// <param name="y">[M, out], same type; overwritten, or added to when <paramref name="beta"/> is not 0.</param>
    /// <param name="beta">Factor of what y holds; with 0 it is not read.</param>
    /// <exception cref="ArgumentException">Shapes, types or devices do not fit.</exception>
    public static void Forward(ColumnRange x, FrozenWeight weight, ColumnRange y, float beta = 0)
    {
        Check.Floating(x);
        weight.Verify(x, nameof(weight), nameof(x));
        Check.Operand(x, x, [-1, weight.Columns]);
        Check.Operand(y, x, [x.Rows, weight.Rows]);
        if (x.Rows == 0 || weight.Rows == 0)
            return;
        if (weight.Quantized is { } quantized)
        {
            PanelProduct.Forward(x, quantized, y, beta);
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
    /// <param name="dx">[M, in], same type; overwritten, or added to when <paramref name="beta"/> is not 0.</param>
    /// <param name="beta">Factor of what dx holds; with 0 it is not read.</param>
    /// <exception cref="ArgumentException">Shapes, types or devices do not fit.</exception>
    public static void InputGradient(ColumnRange dy, FrozenWeight weight, ColumnRange dx, float beta = 0)
    {
        Check.Floating(dy);
        weight.Verify(dy, nameof(weight), nameof(dy));
        Check.Operand(dy, dy, [-1, weight.Rows]);
        Check.Operand(dx, dy, [dy.Rows, weight.Columns]);
        if (dy.Rows == 0 || weight.Columns == 0)
            return;
        if (weight.Quantized is { } quantized)
        {
            PanelProduct.InputGradient(dy, quantized, dx, beta);
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
}
