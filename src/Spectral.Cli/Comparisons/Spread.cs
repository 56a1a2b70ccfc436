using System.Globalization;
using System.Text.Json.Nodes;
using Spectral.Cli.Output;
using Spectral.Training.Numerics;

namespace Spectral.Cli.Comparisons;

/// <summary>The values of one figure over the seeds of a method.</summary>
/// <param name="Values">At least one value; all are finite.</param>
internal sealed record Spread(IReadOnlyList<double> Values)
{
    private readonly SampleMoments _sample = SampleMoments.Of(Values);

    /// <summary>The mean of the values.</summary>
    public double Mean => _sample.Mean;

    /// <summary>The standard deviation of the sample, with n − 1; null for a single value.</summary>
    public double? Deviation => Values.Count < 2 ? null : _sample.Deviation;

    /// <summary>Takes the finite ones among some values; returns null if there are none.</summary>
    public static Spread? Of(IEnumerable<double?> values)
    {
        double[] finite = [.. values.OfType<double>().Where(double.IsFinite)];
        return finite.Length == 0 ? null : new Spread(finite);
    }

    public JsonObject ToJson() =>
        new()
        {
            ["mean"] = JsonOutput.Number(Mean),
            ["deviation"] = JsonOutput.Number(Deviation),
            ["values"] = new JsonArray([.. Values.Select(value => JsonOutput.Number(value))]),
        };

    /// <summary>
    /// Returns "mean ± deviation" in a number format, each multiplied by <paramref name="factor"/>.
    /// </summary>
    public string Text(string format, double factor = 1)
    {
        string mean = (factor * Mean).ToString(format, CultureInfo.InvariantCulture);
        return Deviation is { } deviation
            ? $"{mean} ± {(factor * deviation).ToString(format, CultureInfo.InvariantCulture)}"
            : mean;
    }
}
