using System.Globalization;
using System.Numerics;
using System.Runtime.InteropServices;

namespace Spectral.Training.IO;

/// <summary>Finds NaN and infinities in values that were read or are about to be written.</summary>
internal static class FiniteValues
{
    /// <summary>Returns the index of the first value that is NaN or infinite; -1 if all are finite.</summary>
    public static int FirstNonFinite(ReadOnlySpan<float> values)
    {
        // x - x is 0 for a finite x and NaN otherwise, and so is the sum, so that no element needs a comparison.
        Vector<float> sum = Vector<float>.Zero;
        ReadOnlySpan<Vector<float>> vectors = MemoryMarshal.Cast<float, Vector<float>>(values);
        foreach (Vector<float> vector in vectors)
            sum += vector - vector;
        int start = sum == Vector<float>.Zero ? vectors.Length * Vector<float>.Count : 0;
        for (int i = start; i < values.Length; i++)
        {
            if (!float.IsFinite(values[i]))
                return i;
        }
        return -1;
    }

    /// <summary>Describes a value and its place in a tensor for a message: <c>NaN at [1, 2]</c>.</summary>
    /// <param name="value">The value to describe.</param>
    /// <param name="index">The row-major index of the element.</param>
    /// <param name="shape">The tensor's shape.</param>
    public static string Describe(double value, long index, IReadOnlyList<long> shape)
    {
        long[] place = new long[shape.Count];
        for (int i = place.Length - 1; i >= 0; i--)
            (index, place[i]) = Math.DivRem(index, shape[i]);
        return $"{value.ToString(CultureInfo.InvariantCulture)} at {InputText.Shape(place)}";
    }
}
