using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

/// <summary>Applies a ReLU in place, as between the factors of a parallel adapter.</summary>
public static class Rectifier
{
    /// <summary>Computes z = max(z, 0) in place; NaN stays NaN.</summary>
    /// <param name="z">Any shape, F32 or BF16.</param>
    /// <exception cref="ArgumentException">The type does not fit.</exception>
    public static void Forward(Tensor z)
    {
        Check.Floating(z);
        Run(RectifierArgs.Forward, new RectifierArgs { X = z.Pointer, Count = z.Count }, z);
    }

    /// <summary>Sets g to 0 where z is not above 0.</summary>
    /// <param name="z">What <see cref="Forward"/> left.</param>
    /// <param name="g">Gradient with respect to it, same shape and type.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Backward(Tensor z, Tensor g)
    {
        Check.Floating(z);
        Check.SameAs(g, z);
        Run(
            RectifierArgs.Backward,
            new RectifierArgs
            {
                Z = z.Pointer,
                X = g.Pointer,
                Count = z.Count,
            },
            z
        );
    }

    private static void Run(KernelEntry<RectifierArgs> kernel, in RectifierArgs args, Tensor like)
    {
        if (args.Count > 0)
            kernel.Launch(like.Device, like.DType, args, Launch.FlatBlocks(args.Count, like.DType));
    }
}
