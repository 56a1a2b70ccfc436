namespace Spectral.Training.Merging;

/// <summary>
/// Adam (Kingma and Ba, 2015) with PyTorch's conventions and defaults, on numbers on the host.
/// </summary>
/// <param name="count">The number of values.</param>
internal sealed class AdamMoments(int count)
{
    private const double FirstDecay = 0.9;
    private const double SecondDecay = 0.999;
    private const double Epsilon = 1e-8;

    private readonly float[] _first = new float[count];
    private readonly float[] _second = new float[count];

    /// <summary>Moves values against a gradient.</summary>
    /// <param name="values">The values; changed.</param>
    /// <param name="gradient">As many numbers.</param>
    /// <param name="step">The number of this step, from 1.</param>
    /// <param name="rate">The learning rate.</param>
    public void Step(Span<float> values, ReadOnlySpan<float> gradient, int step, double rate)
    {
        double firstScale = 1 - Math.Pow(FirstDecay, step);
        double secondScale = 1 - Math.Pow(SecondDecay, step);
        for (int i = 0; i < values.Length; i++)
        {
            double slope = gradient[i];
            double first = (FirstDecay * _first[i]) + ((1 - FirstDecay) * slope);
            double second = (SecondDecay * _second[i]) + ((1 - SecondDecay) * slope * slope);
            (_first[i], _second[i]) = ((float)first, (float)second);
            values[i] -= (float)(rate * (first / firstScale) / (Math.Sqrt(second / secondScale) + Epsilon));
        }
    }
}
