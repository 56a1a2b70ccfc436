namespace Spectral.Tests.Support;

/// <summary>The standard normal distribution in double precision.</summary>
internal static class NormalProbability
{
    /// <summary>
    /// Computes Φ(x), the probability of values up to x: by the power series that has positive terms alone, and by
    /// Laplace's continued fraction below −3, where the series would leave a difference of nearly equal numbers.
    /// </summary>
    public static double Of(double x)
    {
        if (double.IsNaN(x))
            return x;
        if (x > 3)
            return 1 - Of(-x);
        double density = Density(x);
        if (x >= -3)
        {
            double sum = 0;
            double term = x;
            for (int n = 1; Math.Abs(term) > 1e-18; n += 2)
            {
                sum += term;
                term *= x * x / (n + 2);
            }
            return 0.5 + density * sum;
        }
        double fraction = 0;
        for (int n = 200; n > 0; n--)
            fraction = n / (-x + fraction);
        return density / (-x + fraction);
    }

    /// <summary>Computes the density exp(−x²/2) / √(2π).</summary>
    public static double Density(double x) => Math.Exp(-x * x / 2) / Math.Sqrt(2 * Math.PI);
}
