namespace Spectral.Cli;

/// <summary>Maps a range of values to pixels, linearly or by logarithm, and finds round numbers to label it with.</summary>
internal readonly struct ChartAxis
{
    private const double MostLinear = 20;   // beyond this factor between least and largest, a linear axis shows the small ones as a floor

    private readonly double low, high, from, to, stride;

    private ChartAxis(double low, double high, double from, double to, double stride, bool logarithmic) =>
        (this.low, this.high, this.from, this.to, this.stride, IsLogarithmic) = (low, high, from, to, stride, logarithmic);

    /// <summary>Whether equal distances are equal factors.</summary>
    public bool IsLogarithmic { get; }

    /// <summary>Counts from <paramref name="low"/> to <paramref name="high"/>, labelled at whole numbers.</summary>
    public static ChartAxis Whole(double low, double high, double from, double to)
    {
        (double least, double most) = Widened(low, high);
        return new(least, most, from, to, Math.Max(1, Stride(least, most)), logarithmic: false);
    }

    /// <summary>Values from 0, or from <paramref name="low"/> if that is below, up to a round number.</summary>
    public static ChartAxis FromZero(double low, double high, double from, double to)
    {
        (double least, double most) = Widened(Math.Min(0, low), high);
        double stride = Stride(least, most);
        return new(least, Math.Ceiling(most / stride - 1e-9) * stride, from, to, stride, logarithmic: false);
    }

    /// <summary>As <see cref="FromZero"/>, but logarithmic where the values are positive and differ by more than a factor of twenty.</summary>
    public static ChartAxis Fitting(double low, double high, double from, double to)
    {
        if (!(low > 0) || high / low <= MostLinear) return FromZero(low, high, from, to);
        return new(Round(low, down: true), Round(high, down: false), from, to, 0, logarithmic: true);
    }

    public double At(double value) => from + (to - from) * (IsLogarithmic
        ? Math.Log(Math.Max(value, low) / low) / Math.Log(high / low)
        : (value - low) / (high - low));

    public IEnumerable<double> Ticks() => IsLogarithmic ? LogarithmicTicks() : LinearTicks();

    private IEnumerable<double> LinearTicks()
    {
        double first = Math.Ceiling(low / stride - 1e-9), last = Math.Floor(high / stride + 1e-9);
        for (double tick = first; tick <= last; tick++) yield return tick * stride + 0.0; // + 0.0: a label "-0" would be odd
    }

    /// <summary>1, 2 and 5 of each power of ten; of many powers only the 1.</summary>
    private IEnumerable<double> LogarithmicTicks()
    {
        double decades = Math.Log10(high / low);
        double[] leads = decades <= 2.5 ? [1, 2, 5] : [1];
        for (double power = Math.Floor(Math.Log10(low)); power <= Math.Log10(high) + 1e-9; power++)
            foreach (double lead in leads)
                if (lead * Math.Pow(10, power) is var tick && tick >= low * (1 - 1e-9) && tick <= high * (1 + 1e-9)) yield return tick;
    }

    private static (double Low, double High) Widened(double low, double high) => (low, high > low ? high : low + 1);

    private static double Stride(double low, double high)
    {
        double rough = (high - low) / 5, power = Math.Pow(10, Math.Floor(Math.Log10(rough))), lead = rough / power;
        return power * (lead < 1.5 ? 1 : lead < 3 ? 2 : lead < 7 ? 5 : 10);
    }

    /// <summary>The next 1, 2 or 5 times a power of ten.</summary>
    private static double Round(double value, bool down)
    {
        double power = Math.Pow(10, Math.Floor(Math.Log10(value))), lead = value / power;
        return power * (down ? (lead < 2 ? 1 : lead < 5 ? 2 : 5) : (lead <= 1 ? 1 : lead <= 2 ? 2 : lead <= 5 ? 5 : 10));
    }
}
