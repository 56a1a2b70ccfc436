namespace Spectral.Bench.Modes;

/// <summary>Microseconds of processor time per call of one way to run a variant, a sample per round.</summary>
internal sealed class ModeTimes
{
    private readonly List<double> _samples = [];

    public void Add(double microseconds) => _samples.Add(microseconds);

    public double Least => _samples.Min();

    public double Median => Result.Quantile([.. _samples.Order()], 0.5);

    public double Most => _samples.Max();
}
