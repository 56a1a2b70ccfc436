using System.Numerics.Tensors;
using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Settings;
using Tensor = Spectral.Kernels.Tensor;

namespace Spectral.Training.Merging.Methods;

internal sealed class DoMerge : OneModelMerge
{
    private const string Gamma = "gamma";
    private const string Steps = "steps";

    public override string Name => "do-merging";

    public override string Formula =>
        "columns of τ_i = m_i ∘ D_i, ‖D_i‖ = 1; δ by gradient descent on Σ_i<j ‖(D_i + δ_i)ᵀ (D_j + δ_j)‖² + γ Σ "
        + "‖δ_i‖²; W = W0 + mean(w_i m_i) ∘ Σ (D_i + δ_i); tensors that are no linear weights: θ0 + mean w_i τ_i";

    public override string Source =>
        "Zheng et al., \"Decouple and Orthogonalize: A Data-Free Framework for LoRA Merging\", 2025";

    public override string Use =>
        "Merges lengths and directions of the columns apart, after pushing the directions of different inputs "
        + "towards right angles, without data. Orthogonal inputs are merged as they are.";

    public override string? Cost =>
        "Multiplies the inputs of a weight with each other at every step, about 8 minutes a weight.";

    public override bool IsPublishedForm => false;

    public override MergeUses Uses => MergeUses.Weights;

    public override IReadOnlyList<Setting> Settings { get; } =
    [
        new(Gamma, 1, 0, 1e6, "Weight γ of keeping the directions where they are."),
        Setting.Whole(Steps, 20, 0, 10_000, "Number of gradient steps."),
    ];

    internal override TensorMerge Begin(MergeRun run)
    {
        double[] mean = [.. run.Weights.Select(weight => weight / run.Inputs)];
        return tensor =>
        {
            if (!tensor.Place.IsLinear)
                return (piece, result) => WeightedSum.Add(piece, mean, result);
            float[] change = Merged(run, tensor);
            return (piece, result) =>
                TensorPrimitives.Add(piece.Base, change.AsSpan((int)piece.Start, piece.Length), result);
        };
    }

    private static float[] Merged(MergeRun run, MergeTensor tensor)
    {
        (int rows, int columns) = ((int)tensor.Shape[0], (int)tensor.Shape[1]);
        double[] lengths = new double[columns];
        List<Tensor> directions = [];
        try
        {
            for (int input = 0; input < run.Inputs; input++)
            {
                float[] change = tensor.Change(input);
                double[] own = Normalize(change, columns);
                for (int column = 0; column < columns; column++)
                    lengths[column] += run.Weights[input] * own[column] / run.Inputs;
                directions.Add(Tensor.From(run.Device, change, (rows, columns)));
            }
            Orthogonalize(directions, run.Setting(Gamma), (int)run.Setting(Steps));
            float[] merged = new float[rows * columns];
            foreach (Tensor direction in directions)
                TensorPrimitives.Add(merged, direction.ToArray(), merged);
            for (int i = 0; i < merged.Length; i++)
                merged[i] *= (float)lengths[i % columns];
            return merged;
        }
        finally
        {
            foreach (Tensor direction in directions)
                direction.Dispose();
        }
    }

    /// <summary>Divides each column by its length and returns the lengths.</summary>
    private static double[] Normalize(float[] values, int columns)
    {
        double[] lengths = new double[columns];
        for (int i = 0; i < values.Length; i++)
            lengths[i % columns] += (double)values[i] * values[i];
        for (int column = 0; column < columns; column++)
            lengths[column] = Math.Sqrt(lengths[column]);
        for (int i = 0; i < values.Length; i++)
            values[i] = lengths[i % columns] == 0 ? 0 : (float)(values[i] / lengths[i % columns]);
        return lengths;
    }

    /// <summary>
    /// Descends with steps 1 / L, L a bound on the curvature: the gradient of Y_i = D_i + δ_i is 2 Σ_j≠i Y_j Y_jᵀ Y_i +
    /// 2 γ δ_i.
    /// </summary>
    internal static void Orthogonalize(IReadOnlyList<Tensor> directions, double gamma, int steps)
    {
        if (directions.Count == 1)
            return;
        (int rows, int columns) = (directions[0].Dim(0), directions[0].Dim(1));
        Device device = directions[0].Device;
        Tensor[] starts =
        [
            .. directions.Select(direction => Tensor.From(device, direction.ToArray(), (rows, columns))),
        ];
        Tensor[] others = [.. directions.Select(_ => Tensor.Empty(device, (rows, rows)))];
        using var gradient = Tensor.Empty(device, (rows, columns));
        try
        {
            for (int step = 0; step < steps; step++)
            {
                for (int i = 0; i < others.Length; i++)
                {
                    others[i].Clear();
                    foreach (Tensor other in directions.Where(other => other != directions[i]))
                        Gemm.Run(other, Gemm.Transposed(other), others[i], beta: 1);
                }

                double curvature = 2 * (others.Max(Bound) + gamma);
                if (curvature == 0)
                    return;
                for (int i = 0; i < others.Length; i++)
                {
                    Gemm.Run(others[i], directions[i], gradient);
                    Combine.Run(gradient, 1, directions[i], (float)gamma, gradient);
                    Combine.Run(gradient, 1, starts[i], (float)-gamma, gradient);
                    Combine.Run(directions[i], 1, gradient, (float)(-2 / curvature), directions[i]);
                }
            }
        }
        finally
        {
            foreach (Tensor tensor in starts.Concat(others))
                tensor.Dispose();
        }
    }

    /// <summary>Bounds the eigenvalues of a symmetric matrix by its largest sum of magnitudes in a row.</summary>
    private static double Bound(Tensor matrix)
    {
        float[] values = matrix.ToArray();
        int n = matrix.Dim(0);
        return Enumerable.Range(0, n).Max(row => TensorPrimitives.SumOfMagnitudes(values.AsSpan(row * n, n)));
    }
}
