namespace Spectral.Training.Spectra;

/// <summary>
/// A range of singular values by index: the top 1 %, 1 to 10 %, 10 to 50 %, and the rest. Each range ends at least one
/// index after the one before.
/// </summary>
/// <param name="Name">The name for tables.</param>
/// <param name="From">The first index, counted from 0.</param>
/// <param name="To">The index after the last.</param>
public sealed record SpectrumBin(string Name, int From, int To)
{
    /// <summary>The number of equal parts in a profile.</summary>
    public const int ProfileSize = 20;

    private static readonly (string Name, double End)[] Ends =
    [
        ("top 1 %", 0.01),
        ("1-10 %", 0.1),
        ("10-50 %", 0.5),
        ("rest", 1),
    ];

    /// <summary>
    /// Returns the four ranges of a spectrum of n values. If n is below 4, the last ones are empty. A range that is
    /// computed only in part ends with that part.
    /// </summary>
    /// <param name="n">The number of values.</param>
    /// <param name="computed">The number of values that are known.</param>
    public static SpectrumBin[] Of(int n, int computed)
    {
        var bins = new SpectrumBin[Ends.Length];
        for (int i = 0, from = 0; i < bins.Length; from = bins[i++].To)
        {
            bins[i] = new SpectrumBin(
                Ends[i].Name,
                from,
                Math.Min(n, Math.Max(from + 1, (int)Math.Ceiling(Ends[i].End * n)))
            );
        }

        return [.. bins.Select(bin => bin.From < computed ? bin with { To = Math.Min(bin.To, computed) } : bin)];
    }

    /// <summary>
    /// Returns the mean of the finite values in the range; NaN if there are none or the range is not fully computed.
    /// </summary>
    public double Mean(ReadOnlySpan<double> values) => To > values.Length ? double.NaN : MeanOf(values[From..To]);

    /// <summary>
    /// Returns the means over <see cref="ProfileSize"/> equal parts of a spectrum of n values, of which the first k are
    /// given; NaN for a part that is empty or not computed.
    /// </summary>
    /// <param name="values">The values that are known.</param>
    /// <param name="n">The length of the whole spectrum.</param>
    public static double[] Profile(ReadOnlySpan<double> values, int n)
    {
        double[] profile = new double[ProfileSize];
        for (int i = 0; i < ProfileSize; i++)
        {
            profile[i] = new SpectrumBin("", (int)((long)i * n / ProfileSize), (int)((i + 1L) * n / ProfileSize)).Mean(
                values
            );
        }

        return profile;
    }

    internal static double MeanOf(ReadOnlySpan<double> values)
    {
        double sum = 0;
        int count = 0;
        foreach (double value in values)
        {
            if (double.IsFinite(value))
                (sum, count) = (sum + value, count + 1);
        }

        return count == 0 ? double.NaN : sum / count;
    }
}
