using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

/// <summary>Applies dropout to an array where no kernel that reads the array anyway can apply it.</summary>
public static class Dropout
{
    /// <summary>Computes y = mask ∘ x · factor, or adds that to y; y may be x.</summary>
    /// <param name="x">Any shape, F32 or BF16.</param>
    /// <param name="y">Same shape and type.</param>
    /// <param name="mask">The mask of arrays of this shape.</param>
    /// <param name="factor">Factor of the kept elements; <see cref="DropoutMask.Factor"/> unless given.</param>
    /// <param name="accumulate">Add to y instead of overwriting it.</param>
    /// <exception cref="ArgumentException">Shapes, types or devices do not fit.</exception>
    public static void Run(Tensor x, Tensor y, DropoutMask mask, float? factor = null, bool accumulate = false)
    {
        Check.Floating(x);
        Check.SameAs(y, x);
        Check.SameDevice(mask.State.Device, x, nameof(mask));
        if (x.Count == 0)
            return;
        var args = new DropoutArgs
        {
            X = x.Pointer,
            Y = y.Pointer,
            Count = x.Count,
            Dropout = mask.Source(factor ?? mask.Factor),
            Accumulate = accumulate ? 1 : 0,
        };
        DropoutArgs.Kernel.Launch(x.Device, x.DType, args, Launch.Blocks(x.Count, 8 * Launch.FlatThreads));
    }
}
