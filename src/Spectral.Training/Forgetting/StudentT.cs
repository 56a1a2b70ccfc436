namespace Spectral.Training.Forgetting;

/// <summary>Student's t distribution with a whole number of degrees of freedom.</summary>
internal static class StudentT
{
    /// <summary>Returns the t for which P(|T| ≤ t) is the given probability.</summary>
    public static double TwoSided(double probability, int freedom)
    {
        double low = 0;
        double high = 1;
        while (Within(high, freedom) < probability)
            high *= 2;
        for (int step = 0; step < 100; step++)
        {
            double middle = (low + high) / 2;
            if (Within(middle, freedom) < probability)
                low = middle;
            else
                high = middle;
        }
        return (low + high) / 2;
    }

    /// <summary>Computes P(|T| ≤ t) by its finite series (Abramowitz and Stegun 26.7.3 and 26.7.4).</summary>
    internal static double Within(double t, int freedom)
    {
        double angle = Math.Atan(t / Math.Sqrt(freedom));
        double square = Math.Cos(angle) * Math.Cos(angle);
        bool isOdd = freedom % 2 == 1;
        double term = isOdd ? Math.Cos(angle) : 1;
        double sum = freedom == 1 ? 0 : term;
        for (int i = isOdd ? 3 : 2; i < freedom - 1; i += 2)
        {
            term *= square * (i - 1) / i;
            sum += term;
        }
        return isOdd ? 2 / Math.PI * (angle + (Math.Sin(angle) * sum)) : Math.Sin(angle) * sum;
    }
}
