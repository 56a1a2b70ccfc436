namespace Spectral.Training.Spectra;

/// <summary>
/// The share of all change of singular values that is growth of the first k: A_k = Σ_{i≤k} max(δ_i, 0) / Σ_i |δ_i|,
/// over the values computed.
/// </summary>
/// <param name="K">How many values count as the top.</param>
/// <param name="Share">A_k; NaN when nothing changed.</param>
/// <param name="Uniform">k / n, were all values to grow alike.</param>
public sealed record Amplification(int K, double Share, double Uniform)
{
    internal static Amplification Of(ReadOnlySpan<double> change, int k, int n)
    {
        double top = 0;
        double all = 0;
        for (int i = 0; i < change.Length; i++)
        {
            if (i < k)
                top += Math.Max(change[i], 0);
            all += Math.Abs(change[i]);
        }
        return new Amplification(k, top / all, k / (double)n);
    }
}
