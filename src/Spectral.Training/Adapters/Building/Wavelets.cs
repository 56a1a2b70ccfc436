namespace Spectral.Training.Adapters.Building;

/// <summary>
/// One level of the inverse discrete wavelet transform with Daubechies' filters (Daubechies, "Ten Lectures on
/// Wavelets", 1992, table 6.1), as PEFT applies it to WaveFT's coefficients: an even number of coefficients, the first
/// half of them smooth and the second half detail, gives <c>count − length + 2</c> values.
/// </summary>
internal static class Wavelets
{
    /// <summary>The filters by name, each as its smooth synthesis coefficients; their squares add up to 1.</summary>
    private static readonly IReadOnlyDictionary<string, double[]> Filters = new Dictionary<string, double[]>
    {
        ["db1"] = [Math.Sqrt(0.5), Math.Sqrt(0.5)],
        ["db2"] = [0.48296291314453414, 0.8365163037378079, 0.22414386804201338, -0.12940952255126037],
        ["db3"] =
        [
            0.3326705529500826,
            0.8068915093133388,
            0.4598775021193313,
            -0.13501102001039084,
            -0.08544127388224149,
            0.035226291882100656,
        ],
        ["db4"] =
        [
            0.2303778133088965,
            0.7148465705529157,
            0.6308807679298589,
            -0.027983769416859854,
            -0.18703481171909309,
            0.030841381835560764,
            0.0328830116668852,
            -0.010597401785069032,
        ],
    };

    /// <summary>The names of the filters.</summary>
    public static string[] Names => [.. Filters.Keys];

    /// <summary>Returns the even number of coefficients from which a number of values is made.</summary>
    public static int Coefficients(string filter, int values)
    {
        int count = values + Filters[filter].Length - 2;
        return count + count % 2;
    }

    /// <summary>
    /// Returns the share of a coefficient in a value: place i of the filter that the coefficient's place in its half
    /// begins, which is detail or smooth.
    /// </summary>
    /// <param name="filter">The name of the filter.</param>
    /// <param name="place">The place of the coefficient in its half.</param>
    /// <param name="isDetail">Whether it is a detail coefficient.</param>
    /// <param name="value">The index of the value.</param>
    public static float Share(string filter, int place, bool isDetail, int value)
    {
        double[] smooth = Filters[filter];
        int at = value + smooth.Length - 2 - 2 * place;
        if (at < 0 || at >= smooth.Length)
            return 0;
        return (float)(isDetail ? (at % 2 == 0 ? 1 : -1) * smooth[smooth.Length - 1 - at] : smooth[at]);
    }
}
