using Spectral.Kernels;

namespace Spectral.Training.Numerics;

/// <summary>Shapes as files write them.</summary>
internal static class ShapeExtensions
{
    /// <summary>The dimensions, outermost first.</summary>
    public static long[] Dimensions(this Shape shape)
    {
        long[] dimensions = new long[shape.Rank];
        for (int i = 0; i < dimensions.Length; i++)
            dimensions[i] = shape[i];
        return dimensions;
    }
}
