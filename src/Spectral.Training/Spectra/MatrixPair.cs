using Spectral.Training.Numerics;

namespace Spectral.Training.Spectra;

/// <summary>A base weight, an update of it, and the triplets from which all quantities are computed.</summary>
/// <param name="Base">The triplets of W0 [out, in].</param>
/// <param name="Tuned">The triplets of W0 + Δ.</param>
/// <param name="Update">The update Δ [out, in].</param>
internal sealed record MatrixPair(Triplets Base, Triplets Tuned, HostMatrix Update)
{
    private HostMatrix? _rightImages;

    public int Out => Update.Rows;

    public int In => Update.Columns;

    /// <summary>The number of singular values, min(out, in).</summary>
    public int N => Math.Min(Out, In);

    /// <summary>The number of singular values that are known.</summary>
    public int Count => Base.Count;

    public bool Truncated => Count < N;

    /// <summary>The images Δ v_i of the base's right vectors, one per row: [k, out].</summary>
    public HostMatrix RightImages => _rightImages ??= Base.Right.TimesTransposed(Update);

    /// <summary>
    /// Returns u_iᵀ Δ v_i for each pair of base vectors, [k]: the first-order changes of the singular values.
    /// </summary>
    public double[] FirstOrder() =>
        [.. Enumerable.Range(0, Count).Select(i => HostMatrix.Dot(Base.Left.Row(i), RightImages.Row(i)))];
}
