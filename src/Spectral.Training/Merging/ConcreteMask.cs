using System.Numerics.Tensors;
using Spectral.Training.Numerics;

namespace Spectral.Training.Merging;

/// <summary>
/// The mask of one tensor that is shared by all inputs, m = σ((log u − log(1 − u) + ℓ) / T) with u uniform at random,
/// divided by its mean (the concrete distribution of Maddison et al., 2017, for two outcomes).
/// </summary>
/// <remarks>Logits ℓ and two moments of Adam take 12 bytes for each weight, on the host.</remarks>
/// <param name="count">The number of weights.</param>
/// <param name="stream">The stream of random numbers, one for each tensor and seed.</param>
/// <param name="temperature">The temperature T: the closer to 0, the closer each m is to 0 or 1.</param>
internal sealed class ConcreteMask(int count, ulong stream, double temperature)
{
    private const int Part = MergeTensor.PieceSize;

    private readonly AdamMoments _moments = new(count);

    /// <summary>The logits ℓ, from 0.</summary>
    public float[] Logits { get; } = new float[count];

    /// <summary>Draws the mask of a step, divided by its mean, which becomes 1.</summary>
    public float[] Draw(int step)
    {
        float[] mask = new float[count];
        double[] sums = new double[(count + Part - 1) / Part];
        ulong drawn = SplitMix64.Mix(stream + (ulong)step);
        InParallel.For(
            sums.Length,
            part =>
            {
                for (int i = part * Part; i < Math.Min(count, (part + 1) * Part); i++)
                {
                    mask[i] = (float)Entry(drawn, i);
                    sums[part] += mask[i];
                }
            }
        );
        // Nothing of a tensor is kept where every entry is 0.
        float inverse = sums.Sum() is > 0 and var sum ? (float)(count / sum) : 0;
        TensorPrimitives.Multiply(mask, inverse, mask);
        return mask;
    }

    /// <summary>Returns the gradient of a loss by the logits.</summary>
    /// <param name="step">The number of the step, whose mask is drawn again.</param>
    /// <param name="slopes">The gradient by the drawn mask.</param>
    public float[] Gradient(int step, ReadOnlySpan<float> slopes)
    {
        float[] gradient = new float[count];
        ulong drawn = SplitMix64.Mix(stream + (ulong)step);
        (double sum, double product) = (0, 0);
        for (int i = 0; i < count; i++)
        {
            double entry = Entry(drawn, i);
            gradient[i] = (float)entry;
            sum += entry;
            product += entry * slopes[i];
        }
        if (sum == 0)
            return gradient;
        double mean = sum / count;
        double common = product / (sum * mean); // each entry moves the mean, and so all others
        for (int i = 0; i < count; i++)
        {
            double entry = gradient[i];
            gradient[i] = (float)(((slopes[i] / mean) - common) * entry * (1 - entry) / temperature);
        }
        return gradient;
    }

    /// <summary>Moves the logits by a step of Adam, against the gradient of the drawn mask.</summary>
    public void Learn(int step, ReadOnlySpan<float> slopes, double rate) =>
        _moments.Step(Logits, Gradient(step, slopes), step, rate);

    private double Entry(ulong drawn, int i)
    {
        double u = SplitMix64.Uniform(drawn, (ulong)i);
        return 1 / (1 + Math.Exp(-(Math.Log(u / (1 - u)) + Logits[i]) / temperature));
    }
}
