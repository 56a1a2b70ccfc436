using Spectral.Kernels;
using Spectral.Kernels.Linalg;
using Spectral.Training.Numerics;

namespace Spectral.Training.Spectra;

/// <summary>
/// Computes singular triplets of matrices by the method of the options: all of them in F64, or the leading ones from a
/// random sketch.
/// </summary>
internal sealed class Decomposer(Device device, SpectraOptions options)
{
    // Twice the default: an analysis compares values, while an initialisation only needs a good subspace.
    private const int PowerIterations = 8;

    public Device Device => device;

    /// <summary>Computes the triplets of matrices of one shape. Sketched ones are computed in one batch.</summary>
    public Triplets[] Decompose(params IReadOnlyList<HostMatrix> matrices)
    {
        (int rows, int columns) = (matrices[0].Rows, matrices[0].Columns);
        if (options.IsExact(rows, columns))
            return [.. matrices.Select(matrix => Triplets.Exact(device, matrix))];
        var uploaded = new List<Tensor>();
        SvdResult[] found = [];
        try
        {
            foreach (HostMatrix matrix in matrices)
                uploaded.Add(Tensor.From(device, matrix.ToFloats(), (rows, columns)));
            int rank = Math.Min(options.RandomizedRank, Math.Min(rows, columns));
            found = RandomizedSvd.Compute(
                [.. uploaded],
                rank,
                new RandomizedSvdOptions { PowerIterations = PowerIterations, Seed = options.Seed }
            );
            return [.. found.Select((result, i) => Triplets.Refined(device, matrices[i], result))];
        }
        finally
        {
            foreach (SvdResult result in found)
                result.Dispose();
            foreach (Tensor tensor in uploaded)
                tensor.Dispose();
        }
    }

    /// <summary>
    /// Returns the values that <see cref="Decompose"/> would give, without computing vectors if that is cheaper.
    /// </summary>
    public double[] Values(HostMatrix matrix) =>
        options.IsExact(matrix.Rows, matrix.Columns)
            ? DoubleSvd.ValuesOf(device, matrix.Values, matrix.Rows, matrix.Columns)
            : Decompose(matrix)[0].Values;
}
