using System.Globalization;

namespace Spectral.Benchmarks.Tokenizers;

/// <summary>The rates of several passes over one text, in MB per second of processor time.</summary>
internal sealed class PassRates(IEnumerable<TokenizerPass> passes, double megabytes)
{
    private readonly double[] _ascending = [.. passes.Select(pass => megabytes / pass.Seconds).Order()];

    public double Median => (_ascending[_ascending.Length / 2] + _ascending[(_ascending.Length - 1) / 2]) / 2;

    /// <summary>Slowest and fastest.</summary>
    public string Range => string.Create(CultureInfo.InvariantCulture, $"{_ascending[0]:F2}-{_ascending[^1]:F2}");
}
