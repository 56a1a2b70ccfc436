using System.Numerics;

namespace Spectral.Training.Tests.Support;

internal static class CentralDifferences
{
    /// <summary>
    /// (f(v + step) − f(v − step)) / 2 step for each of the values that a function reads; they are left as they were.
    /// </summary>
    public static double[] Of<T>(T[] values, T step, Func<double> function)
        where T : IBinaryFloatingPointIeee754<T>
    {
        double[] gradient = new double[values.Length];
        for (int i = 0; i < values.Length; i++)
        {
            T value = values[i];
            values[i] = value + step;
            double above = function();
            values[i] = value - step;
            gradient[i] = (above - function()) / (2 * double.CreateChecked(step));
            values[i] = value;
        }
        return gradient;
    }
}
