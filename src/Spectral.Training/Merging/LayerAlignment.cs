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
    public LayerAlignment(MergeRun run, int layer, int input)
    {
        var linears = run
            .Config.Family.Linears(run.Config, layer)
            .ToDictionary(linear => ModelTensors.EndOf(linear.Name));
        int[] neurons = Neurons(run, linears, input);
        (int[] queries, int[] groups) = Heads(run, linears, input);
        int size = run.Config.HeadDimension;
        Add("gate_proj", neurons, null);
        Add("up_proj", neurons, null);
        Add("down_proj", null, neurons);
        Add("q_proj", Spread(queries, size), null);
        Add("k_proj", Spread(groups, size), null);
        Add("v_proj", Spread(groups, size), null);
        Add("o_proj", null, Spread(queries, size));

        void Add(string end, int[]? rows, int[]? columns)
        {
            LinearSpec linear = linears[end];
            _orders[linear.Weight] = (rows, columns);
            if (linear.HasBias)
                _orders[linear.Bias] = (rows, null);
        }
    }

    /// <summary>Returns which of the input's rows and columns take the places of a tensor's; null: the same.</summary>
    public (int[]? Rows, int[]? Columns) Of(string tensor) => _orders.GetValueOrDefault(tensor);

    private static int[] Neurons(MergeRun run, Dictionary<string, LinearSpec> linears, int input)
    {
        int n = run.Config.IntermediateSize;
        using var scores = Tensor.Zeros(run.Device, (n, n));
        foreach (string end in new[] { "gate_proj", "up_proj", "down_proj" })
        {
            MergeTensor tensor = run.Open(linears[end].Weight);
            (int rows, int columns) = ((int)tensor.Shape[0], (int)tensor.Shape[1]);
            using var first = Tensor.From(run.Device, tensor.Values(0), (rows, columns));
            using var other = Tensor.From(run.Device, tensor.Values(input), (rows, columns));
            if (end == "down_proj")
                Gemm.Run(Gemm.Transposed(first), other, scores, beta: 1);
            else
                Gemm.Run(first, Gemm.Transposed(other), scores, beta: 1);
        }
        return Assignment.Best(scores.ToArray(), n);
    }

    /// <summary>
    /// Matches groups of heads that share keys and values, and query heads within them. A head's rows are consecutive.
    /// </summary>
    private static (int[] Queries, int[] Groups) Heads(MergeRun run, Dictionary<string, LinearSpec> linears, int input)
    {
        (int heads, int groups) = (run.Config.Heads, run.Config.KeyValueHeads);
        int each = heads / groups;
        float[] shared = Products(run, linears["k_proj"], input, groups, ofColumns: false);
        TensorPrimitives.Add(shared, Products(run, linears["v_proj"], input, groups, ofColumns: false), shared);
        float[] queries = Products(run, linears["q_proj"], input, heads, ofColumns: false);
        TensorPrimitives.Add(queries, Products(run, linears["o_proj"], input, heads, ofColumns: true), queries);
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

    /// <summary>Returns the inner products of the first input's heads with those of another, [heads, heads].</summary>
    private static float[] Products(MergeRun run, LinearSpec linear, int input, int heads, bool ofColumns)
    {
        MergeTensor tensor = run.Open(linear.Weight);
        float[] first = tensor.Values(0);
        float[] other = tensor.Values(input);
        if (ofColumns)
        {
            first = HostMatrix.Transposed(first, linear.Outputs, linear.Inputs);
            other = HostMatrix.Transposed(other, linear.Outputs, linear.Inputs);
        }

        int size = first.Length / heads;
        float[] products = new float[heads * heads];
        for (int i = 0; i < products.Length; i++)
        {
            products[i] = TensorPrimitives.Dot(
                first.AsSpan(i / heads * size, size),
                other.AsSpan(i % heads * size, size)
            );
        }
        return products;
    }

    /// <summary>Returns the order of the entries of heads that take the given order.</summary>
    private static int[] Spread(int[] heads, int size) =>
        [.. heads.SelectMany(head => Enumerable.Range(head * size, size))];
}
