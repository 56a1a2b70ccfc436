using Spectral.Kernels;
using Spectral.Tests.Support;
using Spectral.Training.IO;
using Spectral.Training.Numerics;
using Spectral.Training.Spectra;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Spectra;

/// <summary>Matrices with known singular triplets, and their analysis.</summary>
public abstract class SpectraTest(DeviceKind kind) : TrainingTest(kind)
{
    /// <summary>Errors of quantities of order 1 that take a few hundred operations in double.</summary>
    protected const double Rounding = 1e-11;

    private protected static readonly SpectraOptions NoDraws = new()
    {
        Draws = 0,
        Ranks = [1, 2, 4],
        TopK = 4,
    };

    private protected MatrixSpectra Analyze(
        Dense before,
        Dense after,
        SpectraOptions? options = null,
        StoredType type = StoredType.F32
    )
    {
        options ??= NoDraws;
        var weights = new WeightPair("model.layers.3.mlp.up_proj.weight", Host(before), Host(after))
        {
            BaseType = type,
            TunedType = type,
        };
        var decomposer = new Decomposer(Device, options);
        return MatrixSpectra.Of(
            weights,
            DecomposedPair.Of(weights, decomposer),
            decomposer,
            options,
            CancellationToken.None
        );
    }

    private protected static HostMatrix Host(Dense matrix) => new(matrix.Rows, matrix.Columns, matrix.Values);

    /// <summary>Columns are orthonormal: Gram-Schmidt, twice, on Gaussian ones.</summary>
    private protected static Dense Orthonormal(Random random, int rows, int columns)
    {
        var q = Dense.Of(rows, columns, (_, _) => random.NextNormal());
        for (int j = 0; j < columns; j++)
        {
            for (int i = 0; i < 2 * j; i++)
            {
                double dot = 0;
                for (int e = 0; e < rows; e++)
                    dot += q[e, i % j] * q[e, j];
                for (int e = 0; e < rows; e++)
                    q[e, j] -= dot * q[e, i % j];
            }
            double norm = Math.Sqrt(Enumerable.Range(0, rows).Sum(e => q[e, j] * q[e, j]));
            for (int e = 0; e < rows; e++)
                q[e, j] /= norm;
        }
        return q;
    }

    /// <summary>u diag(values) vᵀ.</summary>
    private protected static Dense Compose(Dense u, IReadOnlyList<double> values, Dense v) =>
        u * Dense.Diagonal(values) * v.Transposed;

    /// <summary>u vᵀ of one column each.</summary>
    private protected static Dense Outer(Dense u, int i, Dense v, int j) =>
        Dense.Of(u.Rows, v.Rows, (row, column) => u[row, i] * v[column, j]);

    /// <summary>Well separated values, from n down to 1.</summary>
    private protected static double[] Descending(int n) => [.. Enumerable.Range(0, n).Select(i => (double)(n - i))];
}
