using Spectral.Training.Numerics;

namespace Spectral.Training.Spectra;

/// <summary>A base weight, an update of it, and the triplets of both: what every quantity is computed from.</summary>
/// <param name="Base">Of W0 [out, in].</param>
/// <param name="Tuned">Of W0 + Δ.</param>
/// <param name="Update">Δ [out, in].</param>
internal sealed record MatrixPair(Triplets Base, Triplets Tuned, HostMatrix Update)
{
    private HostMatrix? _rightImages;

    public int Out => Update.Rows;

    public int In => Update.Columns;

    /// <summary>The number of singular values, min(out, in).</summary>
    public int N => Math.Min(Out, In);

    /// <summary>How many of them are known.</summary>
    public int Count => Base.Count;

    public bool Truncated => Count < N;

    /// <summary>Δ v_i for the base's right vectors, one per row: [k, out].</summary>
    public HostMatrix RightImages => _rightImages ??= Base.Right.TimesTransposed(Update);

    /// <summary>u_iᵀ Δ v_i.</summary>
    public double[] FirstOrder() =>
        [.. Enumerable.Range(0, Count).Select(i => HostMatrix.Dot(Base.Left.Row(i), RightImages.Row(i)))];
}
