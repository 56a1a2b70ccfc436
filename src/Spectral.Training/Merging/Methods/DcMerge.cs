using System.Numerics.Tensors;
using Spectral.Kernels.Linalg;
using Spectral.Training.Numerics;
using Spectral.Training.Settings;

namespace Spectral.Training.Merging.Methods;

internal sealed class DcMerge : OneModelMerge
{
    private const string Rank = "rank";
    private const string Smoothing = "smoothing";
    private const string Kept = "kept";
    private const string Lambda = "lambda";

    public override string Name => "dc-merge";

    public override string Formula =>
        "τ_i truncated to its first k triplets, σ smoothed; Ū, V̄ the polar factors of [U_1 … U_N], [V_1 … V_N]; "
        + "M_i = Ūᵀ τ_i V̄, its largest entries kept; M = the mean of those of the sum's sign, within N diagonal "
        + "blocks of k × k; W = W0 + λ Ū M V̄ᵀ; tensors that are no linear weights: θ0 + mean τ_i";

    public override string Source =>
        "Zhang et al., \"DC-Merge: Improving Model Merging with Directional Consistency\", 2026";

    public override string Use =>
        "Brings the inputs into one common basis in which directions do not collide, and votes there.";

    public override string? Cost =>
        "Takes an SVD of each weight in each input and two of the same size more, about 11 minutes a weight.";

    public override IReadOnlyList<Setting> Settings { get; } =
    [
        Setting.Whole(
            Rank,
            0,
            0,
            1 << 20,
            "Triplets k of each input; 0: the smaller dimension divided by the number of inputs."
        ),
        Setting.Choice(
            Smoothing,
            "What the kept singular values become, with the same sum: themselves, their mean, or a falling line with a "
                + "ratio of at most 5.",
            "none",
            "mean",
            "linear"
        ),
        new(Kept, 0.001, 0, 1, "Share of the entries of M_i to keep, at least as many as k."),
        new(Lambda, 1, 0, 10, "Factor λ of the merged change."),
    ];

    internal override TensorMerge Begin(MergeRun run)
    {
        double[] mean = [.. run.Weights.Select(_ => 1.0 / run.Inputs)];
        return tensor =>
        {
            if (!tensor.Place.IsLinear)
                return (piece, result) => WeightedSum.Add(piece, mean, result);
            double[] change = Merged(run, tensor);
            float lambda = (float)run.Setting(Lambda);
            return (piece, result) =>
            {
                for (int i = 0; i < result.Length; i++)
                    result[i] = (float)change[piece.Start + i];
                TensorPrimitives.MultiplyAdd(result, lambda, piece.Base, result);
            };
        };
    }

    private static double[] Merged(MergeRun run, MergeTensor tensor)
    {
        (int rows, int columns, int inputs) = ((int)tensor.Shape[0], (int)tensor.Shape[1], run.Inputs);
        int most = Math.Max(1, Math.Min(rows, columns) / inputs);
        int k = run.Setting(Rank) == 0 ? most : Math.Min(most, (int)run.Setting(Rank));
        HostMatrix left = new(k * inputs, rows);
        HostMatrix right = new(k * inputs, columns);
        double[][] values = new double[inputs][];
        for (int input = 0; input < inputs; input++)
        {
            double[] change = Array.ConvertAll(tensor.Change(input), value => (double)value);
            var svd = DoubleSvd.Compute(run.Device, change, rows, columns);
            svd.Left.AsSpan(0, k * rows).CopyTo(left.Values.AsSpan(input * k * rows));
            svd.Right.AsSpan(0, k * columns).CopyTo(right.Values.AsSpan(input * k * columns));
            values[input] = Smooth(run, svd.Values[..k]);
        }

        HostMatrix leftCover = Rotations.Polar(run.Device, left);
        HostMatrix rightCover = Rotations.Polar(run.Device, right);
        HostMatrix leftAngles = leftCover.TimesTransposed(left);
        HostMatrix rightAngles = rightCover.TimesTransposed(right);
        double[][] cores = [.. values.Select((own, input) => Core(run, leftAngles, rightAngles, own, input))];
        HostMatrix merged = new(k * inputs, k * inputs, Vote(cores));
        for (int i = 0; i < merged.Values.Length; i++)
        {
            if (i / merged.Columns / k != i % merged.Columns / k)
                merged.Values[i] = 0;
        }
        return leftCover.Transposed().Times(merged).Times(rightCover).Values;
    }

    /// <summary>Computes Ūᵀ τ_i V̄ of a truncated change and keeps its largest entries.</summary>
    private static double[] Core(MergeRun run, HostMatrix left, HostMatrix right, double[] values, int input)
    {
        (int size, int k) = (left.Rows, values.Length);
        HostMatrix scaled = new(size, k);
        HostMatrix others = new(size, k);
        for (int row = 0; row < size; row++)
        {
            for (int i = 0; i < k; i++)
            {
                scaled.Values[(row * k) + i] = left[row, (input * k) + i] * values[i];
                others.Values[(row * k) + i] = right[row, (input * k) + i];
            }
        }
        double[] core = scaled.TimesTransposed(others).Values;
        int kept = Math.Max(k, (int)(run.Setting(Kept) * core.Length));
        double least = core.Select(Math.Abs).OrderDescending().ElementAt(kept - 1);
        return [.. core.Select(value => Math.Abs(value) >= least ? value : 0)];
    }

    private static double[] Smooth(MergeRun run, double[] values)
    {
        double mean = values.Average();
        if (run.Chose(Smoothing, "none") || values[^1] <= 0)
            return values;
        if (run.Chose(Smoothing, "mean"))
            return [.. values.Select(_ => mean)];
        double ratio = Math.Min(5, values[0] / values[^1]);
        double last = 2 * mean / (1 + ratio);
        double step = values.Length == 1 ? 0 : last * (ratio - 1) / (values.Length - 1);
        return [.. values.Select((_, i) => values.Length == 1 ? mean : (ratio * last) - (i * step))];
    }

    private static double[] Vote(double[][] cores)
    {
        double[] merged = new double[cores[0].Length];
        for (int i = 0; i < merged.Length; i++)
        {
            int sign = Math.Sign(cores.Sum(core => core[i]));
            double[] agree = [.. cores.Select(core => core[i]).Where(value => sign != 0 && Math.Sign(value) == sign)];
            merged[i] = agree.Length == 0 ? 0 : agree.Average();
        }
        return merged;
    }
}
