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

    /// <summary>
    /// The shares that each loss has in the gradient of their sum with respect to each value. Their magnitudes say how
    /// much the sum cancels: a gradient in F32 cannot be better than rounding of its largest shares.
    /// </summary>
    public static double[][] OfShares(double[] values, double step, Func<double[]> losses)
    {
        double[][] shares = new double[values.Length][];
        for (int i = 0; i < values.Length; i++)
        {
            double value = values[i];
            values[i] = value + step;
            double[] above = losses();
            values[i] = value - step;
            shares[i] = [.. above.Zip(losses(), (high, low) => (high - low) / (2 * step))];
            values[i] = value;
        }
        return shares;
    }
}
