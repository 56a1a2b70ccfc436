using System.Numerics.Tensors;
using Spectral.Kernels.Ops;
using Spectral.Training.Models;
using Spectral.Training.Numerics;
using Tensor = Spectral.Kernels.Tensor;

namespace Spectral.Training.Merging;

/// <summary>
/// Which neuron and which attention head of an input corresponds to each of the first input's, in one decoder layer:
/// the permutations that make the weights' inner products largest. The residual stream and the entries of a head keep
/// their order.
/// </summary>
internal sealed class LayerAlignment
{
    private readonly Dictionary<string, (int[]? Rows, int[]? Columns)> _orders = [];

    /// <summary>Aligns one input with the first.</summary>
    /// <param name="run">The merge.</param>
    /// <param name="units">The neurons and heads of the decoder layer.</param>
    /// <param name="input">The number of the input.</param>
    public LayerAlignment(MergeRun run, LayerUnits units, int input)
    {
        int[] neurons = Neurons(run, units, input);
        (int[] queries, int[] groups) = Heads(run, units, input);
        int size = run.Config.HeadDimension;
        foreach (OutputRows rows in units.Neurons)
            AddRows(rows, neurons);
        AddRows(units.Queries, Spread(queries, size));
        AddRows(units.Keys, Spread(groups, size));
        AddRows(units.Values, Spread(groups, size));
        foreach ((string weight, OutputRows rows) in units.Norms)
            _orders[weight] = (Spread(rows == units.Queries ? queries : groups, size), null);
        _orders[units.NeuronReader.Weight] = (null, neurons);
        _orders[units.HeadReader.Weight] = (null, Spread(queries, size));
    }

    /// <summary>Returns which of the input's rows and columns take the places of a tensor's; null: the same.</summary>
    public (int[]? Rows, int[]? Columns) Of(string tensor) => _orders.GetValueOrDefault(tensor);

    private void AddRows(OutputRows rows, int[] order)
    {
        LinearSpec linear = rows.Linear;
        int[] all = Of(linear.Weight).Rows ?? [.. Enumerable.Range(0, linear.Outputs)];
        for (int i = 0; i < order.Length; i++)
            all[rows.From + i] = rows.From + order[i];
        _orders[linear.Weight] = (all, null);
        if (linear.HasBias)
            _orders[linear.Bias] = (all, null);
    }

    private static int[] Neurons(MergeRun run, LayerUnits units, int input)
    {
        int n = units.Neurons[0].Count;
        using var scores = Tensor.Zeros(run.Device, (n, n));
        foreach (OutputRows rows in units.Neurons)
        {
            (float[] first, float[] other) = Values(run, rows, input);
            using var left = Tensor.From(run.Device, first, (n, rows.Linear.Inputs));
            using var right = Tensor.From(run.Device, other, (n, rows.Linear.Inputs));
            Gemm.Run(left, Gemm.Transposed(right), scores, beta: 1);
        }

        MergeTensor reader = run.Open(units.NeuronReader.Weight);
        using var before = Tensor.From(run.Device, reader.Values(0), (units.NeuronReader.Outputs, n));
        using var after = Tensor.From(run.Device, reader.Values(input), (units.NeuronReader.Outputs, n));
        Gemm.Run(Gemm.Transposed(before), after, scores, beta: 1);
        return Assignment.Best(scores.ToArray(), n);
    }

    /// <summary>
    /// Matches groups of heads that share keys and values, and query heads within them. A head's rows are consecutive.
    /// </summary>
    private static (int[] Queries, int[] Groups) Heads(MergeRun run, LayerUnits units, int input)
    {
        (int heads, int groups) = (run.Config.Heads, run.Config.KeyValueHeads);
        int each = heads / groups;
        float[] shared = Products(Values(run, units.Keys, input), groups);
        TensorPrimitives.Add(shared, Products(Values(run, units.Values, input), groups), shared);
        float[] queries = Products(Values(run, units.Queries, input), heads);
        TensorPrimitives.Add(queries, Products(Columns(run, units.HeadReader, input), heads), queries);
        int[][] within = new int[groups * groups][];
        for (int group = 0; group < groups; group++)
        {
            for (int other = 0; other < groups; other++)
            {
                float[] scores = new float[each * each];
                for (int i = 0; i < scores.Length; i++)
                    scores[i] = queries[(((group * each) + (i / each)) * heads) + (other * each) + (i % each)];
                int[] best = Assignment.Best(scores, each);
                within[(group * groups) + other] = best;
                for (int head = 0; head < each; head++)
                    shared[(group * groups) + other] += scores[(head * each) + best[head]];
            }
        }

        int[] matched = Assignment.Best(shared, groups);
        int[] order = new int[heads];
        for (int head = 0; head < heads; head++)
        {
            int group = head / each;
            order[head] = (matched[group] * each) + within[(group * groups) + matched[group]][head % each];
        }
        return (order, matched);
    }

    /// <summary>Returns rows of a weight in the first input and in another.</summary>
    private static (float[] First, float[] Other) Values(MergeRun run, OutputRows rows, int input)
    {
        MergeTensor tensor = run.Open(rows.Linear.Weight);
        Range range = (rows.From * rows.Linear.Inputs)..((rows.From + rows.Count) * rows.Linear.Inputs);
        return (tensor.Values(0)[range], tensor.Values(input)[range]);
    }

    /// <summary>Returns the columns of a weight in the first input and in another, one after the other.</summary>
    private static (float[] First, float[] Other) Columns(MergeRun run, LinearSpec linear, int input)
    {
        MergeTensor tensor = run.Open(linear.Weight);
        return (
            HostMatrix.Transposed(tensor.Values(0), linear.Outputs, linear.Inputs),
            HostMatrix.Transposed(tensor.Values(input), linear.Outputs, linear.Inputs)
        );
    }

    /// <summary>Returns the inner products of the first input's heads with those of another, [heads, heads].</summary>
    private static float[] Products((float[] First, float[] Other) values, int heads)
    {
        int size = values.First.Length / heads;
        float[] products = new float[heads * heads];
        for (int i = 0; i < products.Length; i++)
        {
            products[i] = TensorPrimitives.Dot(
                values.First.AsSpan(i / heads * size, size),
                values.Other.AsSpan(i % heads * size, size)
            );
        }
        return products;
    }

    /// <summary>Returns the order of the entries of heads that take the given order.</summary>
    private static int[] Spread(int[] heads, int size) =>
        [.. heads.SelectMany(head => Enumerable.Range(head * size, size))];
}
