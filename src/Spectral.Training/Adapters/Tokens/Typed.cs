using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Adapters.Tokens;

/// <summary>Brings F32 values into the compute type, in which products take them.</summary>
internal static class Typed
{
    /// <summary>
    /// Returns values in the type of another tensor: the same memory by a handle of its own where they have it, else a
    /// copy. The caller disposes it.
    /// </summary>
    /// <param name="values">The values, F32.</param>
    /// <param name="like">A tensor of the type wanted.</param>
    public static Tensor As(Tensor values, Tensor like)
    {
        if (values.DType == like.DType)
            return values.Share();
        var cast = Tensor.Empty(values.Device, values.Shape, like.DType);
        Cast.Run(values, cast);
        return cast;
    }
}
