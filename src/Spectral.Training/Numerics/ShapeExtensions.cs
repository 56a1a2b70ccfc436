using Spectral.Kernels;

namespace Spectral.Training.Numerics;

/// <summary>Converts shapes to the form that files use.</summary>
internal static class ShapeExtensions
{
    /// <summary>Returns the dimensions, outermost first.</summary>
    public static long[] Dimensions(this Shape shape)
    {
        long[] dimensions = new long[shape.Rank];
        for (int i = 0; i < dimensions.Length; i++)
            dimensions[i] = shape[i];
        return dimensions;
    }
}
