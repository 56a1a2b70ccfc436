using System.Numerics.Tensors;
using Spectral.Training.IO;
using Spectral.Training.Models;

namespace Spectral.Training.Merging.Methods;

internal sealed class OtFusionMerge : OneModelMerge
{
    public override string Name => "otfusion";

    public override string Formula =>
        "θ = Σ P_i,out θ_i P_i,inᵀ / N, P_i the permutations of neurons and heads that make Σ ⟨θ_1, P_i θ_i⟩ largest";

    public override string Source =>
        "Singh, Jaggi, \"Model Fusion via Optimal Transport\", 2019, arXiv 1910.05653; for transformers Imfeld et al., "
        + "2023, arXiv 2310.05719";

    public override string Use =>
        "Averages models that need not have one base: neurons of the feed-forward blocks, groups of heads and heads "
        + "within them are first brought into the order of the first input's. Exact transport between equal numbers "
        + "is a permutation. The residual stream keeps its order. A permuted copy merges to the model itself.";

    public override string? Cost =>
        "The permutation of n neurons takes about n² steps where most of them have different best partners, "
        + "and n³ at worst.";

    public override bool IsPublishedForm => false;

    public override bool DependsOnOrder => true;

    internal override bool NeedsCommonBase => false;

    internal override bool ChangesUntouched => true;

    internal override TensorMerge Begin(MergeRun run)
    {
        LayerUnits[] units =
        [
            .. Enumerable
                .Range(0, run.Config.Layers)
                .Select(layer =>
                    run.Config.Family.Units(run.Config, layer)
                    ?? throw new InputException(
                        $"{Name}: layer {layer} of this {run.Config.ModelType} model has other units than the neurons "
                            + "of one feed-forward layer and heads of attention; expected a model of such layers"
                    )
                ),
        ];
        Dictionary<(int Layer, int Input), LayerAlignment> aligned = [];
        return tensor =>
        {
            (int[]? Rows, int[]? Columns)[] orders =
            [
                .. Enumerable.Range(0, run.Inputs).Select(input => Order(tensor, input)),
            ];
            if (!Array.Exists(orders, order => order.Rows is not null || order.Columns is not null))
                return (piece, result) => Means.Of(piece, run.Inputs, result);
            float[] merged = new float[tensor.Count];
            for (int input = 0; input < run.Inputs; input++)
                Add(merged, tensor.Values(input), orders[input], (int)tensor.Shape[^1]);
            TensorPrimitives.Divide(merged, run.Inputs, merged);
            return (piece, result) => merged.AsSpan((int)piece.Start, piece.Length).CopyTo(result);
        };

        (int[]? Rows, int[]? Columns) Order(MergeTensor tensor, int input)
        {
            if (input == 0 || tensor.Place.Layer is not { } layer)
                return (null, null);
            if (!aligned.TryGetValue((layer, input), out LayerAlignment? alignment))
                alignment = aligned[(layer, input)] = new LayerAlignment(run, units[layer], input);
            return alignment.Of(tensor.Name);
        }
    }

    private static void Add(float[] sum, float[] values, (int[]? Rows, int[]? Columns) order, int columns)
    {
        if (order.Columns is null)
        {
            // The entries of a bias are rows of one column.
            int width = order.Rows is { } rows ? values.Length / rows.Length : values.Length;
            for (int row = 0; row < values.Length / width; row++)
            {
                int from = order.Rows?[row] ?? row;
                Span<float> target = sum.AsSpan(row * width, width);
                TensorPrimitives.Add(target, values.AsSpan(from * width, width), target);
            }
            return;
        }

        for (int i = 0; i < values.Length; i++)
            sum[i] += values[i - (i % columns) + order.Columns[i % columns]];
    }
}
