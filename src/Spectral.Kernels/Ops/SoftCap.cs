using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

/// <summary>
/// Brings numbers of any size between −c and c and hardly changes those near 0: <c>y = c · tanh(x / c)</c> (Gemma team,
/// "Gemma 2", 2024, for logits). A NaN gives NaN.
/// </summary>
public static class SoftCap
{
    /// <summary>Computes <c>y = c · tanh(x / c)</c> for every element.</summary>
    /// <param name="x">Any shape, F32.</param>
    /// <param name="y">Shape of x, F32; written; may be x.</param>
    /// <param name="cap">The bound c, above 0.</param>
    /// <exception cref="ArgumentException">Shape, type, device or the bound does not fit.</exception>
    public static void Forward(Tensor x, Tensor y, float cap)
    {
        Check.Operand(x, DType.F32);
        Check.SameAs(y, x);
        Verify(cap);
        if (x.Count == 0)
            return;
        var args = new SoftCapForwardArgs
        {
            X = x.Pointer,
            Y = y.Pointer,
            Count = x.Count,
            Cap = cap,
        };
        SoftCapForwardArgs.Kernel.Launch(x.Device, args, Launch.FlatBlocks(x.Count, DType.F32));
    }

    /// <summary>Computes <c>dx = dy (1 − (y / c)²)</c>, the adjoint of <see cref="Forward"/>.</summary>
    /// <param name="y">Any shape, F32: what forward wrote.</param>
    /// <param name="dy">Shape of y, F32 or BF16.</param>
    /// <param name="dx">Shape and type of dy; written; may be dy.</param>
    /// <param name="cap">As in forward.</param>
    /// <exception cref="ArgumentException">Shape, type, device or the bound does not fit.</exception>
    public static void Backward(Tensor y, Tensor dy, Tensor dx, float cap)
    {
        Check.Operand(y, DType.F32);
        Check.Floating(dy, y);
        Check.SameShape(dy, y);
        Check.SameAs(dx, dy);
        Verify(cap);
        if (y.Count == 0)
            return;
        var args = new SoftCapBackwardArgs
        {
            Y = y.Pointer,
            Dy = dy.Pointer,
            Dx = dx.Pointer,
            Count = y.Count,
            Cap = cap,
        };
        SoftCapBackwardArgs.Kernel.Launch(y.Device, dy.DType, args, Launch.FlatBlocks(y.Count, dy.DType));
    }

    private static void Verify(float cap)
    {
        if (!(cap > 0 && float.IsFinite(cap)))
            throw new ArgumentException($"cap is {cap}, expected a finite number above 0", nameof(cap));
    }
}
