using Spectral.Training.Adapters.Expressions;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// LoLDU: the first r steps of an LU decomposition with partial pivoting, of which the pivots z and a scale κ train.
/// Their start values are subtracted inside the same term, so that the rank of the core stays r.
/// </summary>
internal sealed class LolduMethod : AdapterMethod
{
    private const string L = "loldu_L";
    private const string U = "loldu_U";
    private const string Z = "loldu_z";
    private const string StartStrength = "loldu_start";

    public override string Name => "loldu";
    public override string Formula => "W + Π·L_r·diag(kappa·z - kappa0·z0)·U_r, W = Π·L·diag(z)·U with unit diagonals";
    public override string Source => "Shi et al., 2024, arXiv 2410.13618";
    public override string Use =>
        "r + 1 numbers a layer, from an LU decomposition, the cheapest of all decompositions.";

    public override AdapterForm Form(AdapterBuilder layer)
    {
        int rank = layer.SpectralRank;
        Expression strength = layer
            .Trained(Z, rank)
            .Multiply(layer.Trained("loldu_kappa", 1, Start.Of(layer.Options.Scale)), Kernels.Ops.Broadcast.Single);
        return new AdapterForm
        {
            Terms =
            [
                new(layer.Frozen(L, (layer.Out, rank)), layer.Frozen(U, (rank, layer.In)))
                {
                    Middle = strength.Subtract(layer.Frozen(StartStrength, rank)),
                },
            ],
        };
    }

    public override void Initialize(IReadOnlyList<AdapterStart> starts)
    {
        foreach (AdapterStart start in starts)
        {
            (float[] l, float[] z, float[] u) = Decompose(
                start.Weight.ToArray(),
                start.Module.Out,
                start.Module.In,
                start.Options.Rank
            );
            start[L].CopyFrom(l);
            start[Z].CopyFrom(z);
            start[U].CopyFrom(u);
            start.Release();
            start[StartStrength].CopyFrom([.. z.Select(value => value * (float)start.Options.Scale)]);
        }
    }

    /// <summary>
    /// Runs r steps of elimination in F64 on the host, r·out·in products. Returns Π L [rows, r], z [r] and U [r,
    /// columns] with a unit diagonal.
    /// </summary>
    internal static (float[] L, float[] Z, float[] U) Decompose(float[] weight, int rows, int columns, int rank)
    {
        double[] left = Array.ConvertAll(weight, value => (double)value);
        bool[] free = Enumerable.Repeat(true, rows).ToArray();
        (float[] l, float[] z, float[] u) = (new float[rows * rank], new float[rank], new float[rank * columns]);
        double largest = left.Max(Math.Abs);
        for (int step = 0; step < rank; step++)
        {
            int pivotRow = Enumerable
                .Range(0, rows)
                .Where(row => free[row])
                .MaxBy(row => Math.Abs(left[row * columns + step]));
            double pivot = left[pivotRow * columns + step];
            // Dividing by a pivot of the size of rounding errors would blow up its row. With the pivot clamped, the row
            // keeps its values in the product.
            if (Math.Abs(pivot) < 1e-6 * largest || pivot == 0)
            {
                pivot =
                    pivot < 0 ? -Math.Max(1e-6 * largest, double.Epsilon) : Math.Max(1e-6 * largest, double.Epsilon);
            }

            z[step] = (float)pivot;
            for (int j = step; j < columns; j++)
                u[step * columns + j] = (float)(j == step ? 1 : left[pivotRow * columns + j] / pivot);
            for (int i = 0; i < rows; i++)
            {
                if (!free[i])
                    continue;
                double factor = i == pivotRow ? 1 : left[i * columns + step] / pivot;
                l[i * rank + step] = (float)factor;
                for (int j = step; i != pivotRow && j < columns; j++)
                    left[i * columns + j] -= factor * left[pivotRow * columns + j];
            }
            free[pivotRow] = false;
        }
        return (l, z, u);
    }
}
