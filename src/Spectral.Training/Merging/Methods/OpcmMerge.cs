using Spectral.Kernels.Linalg;
using Spectral.Training.Numerics;
using Spectral.Training.Settings;

namespace Spectral.Training.Merging.Methods;

internal sealed class OpcmMerge : OneModelMerge
{
    private const string Alpha = "alpha";

    public override string Name => "opcm";

    public override string Formula =>
        "S ← τ_1; for i = 2 … N: U, Σ, V of the SVD of S, c = Uᵀ τ_i V without its diagonal and without its first k × "
        + "k entries (k the first with Σ_j≤k σ_j > α Σ σ_j), S ← S + U c Vᵀ; tensors that are no linear weights: S ← "
        + "S + τ_i; θ = θ0 + S · mean ‖τ_i‖ / ‖S‖, norms over the whole model";

    public override string Source =>
        "Tang et al., \"Merging Models on the Fly Without Retraining: A Sequential Approach to Scalable Continual "
        + "Model Merging\", 2025, arXiv 2501.09522";

    public override string Use =>
        "Takes the inputs one after the other and adds of each only what lies across what is there already. The order "
        + "counts.";

    public override string? Cost =>
        "Decomposes each weight twice for every input but the first, as the final scale needs the whole model: about 5 "
        + "minutes a weight.";

    public override IReadOnlyList<Setting> Settings { get; } =
    [new(Alpha, 0.5, 0, 1, "Share of the singular values' sum within which nothing is added.")];

    public override bool DependsOnOrder => true;

    internal override int Scans(MergeRun run) => 1;

    internal override TensorMerge Begin(MergeRun run)
    {
        double merged = 0;
        double[] squares = new double[run.Inputs];
        run.Scan(tensor =>
        {
            double[] own = Norms.Squares(tensor, (piece, input) => piece.Change(input));
            for (int i = 0; i < own.Length; i++)
                squares[i] += own[i];
            foreach (double value in Sum(run, tensor))
                merged += value * value;
        });
        double scale = merged == 0 ? 1 : squares.Average(Math.Sqrt) / Math.Sqrt(merged);
        return tensor =>
        {
            double[] sum = Sum(run, tensor);
            return (piece, result) =>
            {
                for (int i = 0; i < result.Length; i++)
                    result[i] = (float)(scale * sum[piece.Start + i]);
                piece.AddBase(result);
            };
        };
    }

    private static double[] Sum(MergeRun run, MergeTensor tensor)
    {
        double[] sum = Array.ConvertAll(tensor.Change(0), value => (double)value);
        for (int input = 1; input < run.Inputs; input++)
        {
            float[] change = tensor.Change(input);
            double[] added = tensor.Place.IsLinear
                ? Across(run, sum, change, (int)tensor.Shape[0], (int)tensor.Shape[1])
                : Array.ConvertAll(change, value => (double)value);
            for (int i = 0; i < sum.Length; i++)
                sum[i] += added[i];
        }
        return sum;
    }

    /// <summary>Removes from a change what lies along the sum so far.</summary>
    private static double[] Across(MergeRun run, double[] sum, float[] change, int rows, int columns)
    {
        var tau = HostMatrix.From(change, rows, columns);
        if (Array.TrueForAll(sum, value => value == 0))
            return tau.Values;
        var svd = DoubleSvd.Compute(run.Device, sum, rows, columns);
        int n = svd.Values.Length;
        HostMatrix left = new(n, rows, svd.Left);
        HostMatrix right = new(n, columns, svd.Right);
        HostMatrix core = left.TimesTransposed(right.TimesTransposed(tau)); // Uᵀ τ V, [n, n]
        int k = First(svd.Values, run.Setting(Alpha));
        HostMatrix removed = new(n, n);
        for (int i = 0; i < n; i++)
        {
            for (int j = 0; j < n; j++)
            {
                if (i == j || (i < k && j < k))
                    removed.Values[(i * n) + j] = core[i, j];
            }
        }
        return tau.Plus(left.Transposed().Times(removed).Times(right), -1).Values;
    }

    private static int First(double[] values, double share)
    {
        double all = values.Sum();
        double sum = 0;
        for (int i = 0; i < values.Length; i++)
        {
            sum += values[i];
            if (sum > share * all)
                return i;
        }
        return 0; // as in the published code, where no index exceeds the share
    }
}
