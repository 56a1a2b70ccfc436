namespace Spectral.Training.Numerics;

/// <summary>The standard normal distribution Φ.</summary>
internal static class NormalDistribution
{
    private const double Widest = 8; // beyond it Φ is 0 or 1 up to rounding

    /// <summary>Computes Φ(x) = ½ + φ(x) (x + x³/3 + x⁵/(3·5) + …) (Marsaglia 2004), up to double rounding.</summary>
    public static double Cumulative(double x)
    {
        if (Math.Abs(x) > Widest)
            return x > 0 ? 1 : 0;
        double sum = x;
        double term = x;
        for (int i = 3; Math.Abs(term) > 1e-17 * Math.Abs(sum); i += 2)
        {
            term *= x * x / i;
            sum += term;
        }
        return 0.5 + (sum * Math.Exp(-0.5 * x * x) / Math.Sqrt(2 * Math.PI));
    }

    /// <summary>Finds x with Φ(x) = share by bisection, up to double rounding.</summary>
    public static double Quantile(double share)
    {
        (double low, double high) = (-Widest, Widest);
        while (true)
        {
            double middle = (low + high) / 2;
            if (middle <= low || middle >= high)
                return middle;
            if (Cumulative(middle) < share)
                low = middle;
            else
                high = middle;
        }
    }
}
