using System.Globalization;
using System.Numerics;
using System.Runtime.InteropServices;

namespace Spectral.Training.IO;

/// <summary>Looks for NaN and infinities in what is read or about to be written.</summary>
internal static class FiniteValues
{
    /// <summary>The index of the first value that is NaN or infinite; -1 if all are finite.</summary>
    public static int FirstOther(ReadOnlySpan<float> values)
    {
        // x - x is 0 for a finite x and NaN for any other, and so is the sum: no comparison per element.
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

    /// <summary>How a message names a value and its place in a tensor: <c>NaN at [1, 2]</c>.</summary>
    /// <param name="value">The value.</param>
    /// <param name="index">Of the element, row-major.</param>
    /// <param name="shape">The tensor's shape.</param>
    public static string Describe(double value, long index, IReadOnlyList<long> shape)
    {
        long[] place = new long[shape.Count];
        for (int i = place.Length - 1; i >= 0; i--)
            (index, place[i]) = Math.DivRem(index, shape[i]);
        return $"{value.ToString(CultureInfo.InvariantCulture)} at {InputText.Shape(place)}";
    }
}
