using Spectral.Kernels;

namespace Spectral.Training.Models;

/// <summary>
/// The entropy of the predictions of a model, H = −Σ p log p with p = softmax(z), and its gradient dH/dz = −p (log p +
/// H). Computed on the host: it is needed for a few batches alone.
/// </summary>
internal static class Entropy
{
    /// <summary>Computes the entropy of each row.</summary>
    /// <param name="logits">z [N, V] F32.</param>
    /// <param name="entropies">[N] F32; written.</param>
    /// <param name="dLogits">[N, V] F32 or BF16; written. May be the logits. Null: entropies only.</param>
    /// <param name="gradientScale">The factor on the gradient.</param>
    public static void Run(Tensor logits, Tensor entropies, Tensor? dLogits, float gradientScale)
    {
        int vocabulary = logits.Dim(1);
        float[] values = logits.ToArray();
        float[] found = new float[logits.Dim(0)];
        Parallel.For(
            0,
            found.Length,
            row => found[row] = OfRow(values.AsSpan(row * vocabulary, vocabulary), gradientScale)
        );
        entropies.CopyFrom(found);
        dLogits?.CopyFrom(values);
    }

    /// <summary>Returns the entropy of a row of logits and replaces them by the gradient.</summary>
    private static float OfRow(Span<float> row, float gradientScale)
    {
        double largest = double.NegativeInfinity;
        foreach (float logit in row)
            largest = Math.Max(largest, logit); // NaN stays
        double sum = 0;
        foreach (float logit in row)
            sum += Math.Exp(logit - largest);
        double normalizer = largest + Math.Log(sum);
        double entropy = 0;
        foreach (float logit in row)
            entropy -= Math.Exp(logit - normalizer) * (logit - normalizer);
        foreach (ref float logit in row)
        {
            double log = logit - normalizer;
            logit = (float)(-gradientScale * Math.Exp(log) * (log + entropy));
        }
        return (float)entropy;
    }
}
