namespace Spectral.Kernels.Linalg;

/// <summary>
/// A truncated singular value decomposition, A ≈ U diag(S) Vt. Values descend; each pair of vectors has the sign that
/// makes the entry of largest magnitude of its right vector positive. Vectors to value 0 complete the others to
/// orthonormal sets.
/// </summary>
public sealed class SvdResult : IDisposable
{
    internal SvdResult(Tensor u, Tensor s, Tensor vt) => (U, S, Vt) = (u, s, vt);

    /// <summary>Left vectors as columns, [m, k] F32.</summary>
    public Tensor U { get; }

    /// <summary>Singular values, [k] F32, descending; exactly 0 from <see cref="NumericalRank"/> on.</summary>
    public Tensor S { get; }

    /// <summary>Right vectors as rows, [k, n] F32.</summary>
    public Tensor Vt { get; }

    /// <summary>
    /// Bound of ‖A − U diag(S) Vt‖₂. Randomized: 10·√(2/π)·max ‖(A − U diag(S) Vt) ω‖ over ten fresh Gaussian vectors
    /// ω, which holds with probability 1 − 10⁻¹⁰ and is generous (Halko, Martinsson, Tropp 2011, section 4.3). Exact:
    /// the first value left out, plus rounding.
    /// </summary>
    public double ResidualBound { get; internal init; }

    /// <summary>Number of the k values that are above rounding, min(2⁻²⁴·max(m, n), 10⁻⁵) times the largest.</summary>
    public int NumericalRank { get; internal init; }

    /// <summary>
    /// Whether two neighbouring values are closer than 10⁻⁵ of their size, so that their vectors are only determined
    /// together.
    /// </summary>
    public bool HasClusters { get; internal init; }

    /// <summary>Method that computed the result, exact or randomized.</summary>
    public SvdMethod Method { get; internal init; }

    /// <summary>Computes many decompositions; when one fails, those made before it are disposed.</summary>
    /// <param name="count">How many.</param>
    /// <param name="compute">Fills the array it is given.</param>
    internal static SvdResult[] All(int count, Action<SvdResult?[]> compute)
    {
        var results = new SvdResult?[count];
        try
        {
            compute(results);
            return results!;
        }
        catch
        {
            foreach (SvdResult? result in results)
                result?.Dispose();
            throw;
        }
    }

    /// <summary>Frees all three tensors. A second call does nothing.</summary>
    public void Dispose()
    {
        U.Dispose();
        S.Dispose();
        Vt.Dispose();
    }
}
