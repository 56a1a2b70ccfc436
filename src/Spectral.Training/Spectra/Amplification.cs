namespace Spectral.Training.Spectra;

/// <summary>
/// The share of the growth of the first k singular values in the total change of all: A_k = Σ_{i≤k} max(δ_i, 0) / Σ_i
/// |δ_i|, over the values computed.
/// </summary>
/// <param name="K">The number k of leading values.</param>
/// <param name="Share">The share A_k; NaN if nothing changed.</param>
/// <param name="Uniform">The share k / n if all values grew equally.</param>
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
