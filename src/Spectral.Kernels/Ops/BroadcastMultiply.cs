using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

/// <summary>
/// Multiplies a tensor element by element with a vector along its rows or columns, with a number, or with a tensor of
/// its shape.
/// </summary>
public static class BroadcastMultiply
{
    /// <summary>Computes <c>z = scale · x ∘ v (+ z)</c>. NaN propagates.</summary>
    /// <param name="x">Any shape, F32.</param>
    /// <param name="v">F32, with the elements that the broadcast wants.</param>
    /// <param name="z">Shape of x, F32; may be x, and v where that has the shape of x.</param>
    /// <param name="broadcast">Which element of v meets which of x.</param>
    /// <param name="scale">Factor of the products.</param>
    /// <param name="accumulate">Whether it is added to what z holds.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Run(Tensor x, Tensor v, Tensor z, Broadcast broadcast, float scale = 1, bool accumulate = false)
    {
        (_, int columns) = BroadcastShape.Of(x, v, broadcast);
        Check.SameAs(z, x);
        if (x.Count == 0)
            return;
        var args = new BroadcastMultiplyArgs
        {
            X = x.Pointer,
            V = v.Pointer,
            Z = z.Pointer,
            Count = x.Count,
            Columns = columns,
            Scale = scale,
            Accumulate = accumulate ? 1 : 0,
            RowStride = broadcast switch
            {
                Broadcast.PerElement => columns,
                Broadcast.PerRow => 1,
                _ => 0,
            },
            ColumnStride = broadcast is Broadcast.PerElement or Broadcast.PerColumn ? 1 : 0,
        };
        BroadcastMultiplyArgs.Kernel.Launch(x.Device, args, Launch.FlatBlocks(x.Count, DType.F32));
    }
}
