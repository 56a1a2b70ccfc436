using Spectral.Kernels;

namespace Spectral.Training;

/// <summary>y[n] = table[token[n]]: table [V, D], tokens [N].</summary>
public sealed class EmbeddingNode : Node
{
    private readonly Parameter _table;
    private readonly int[] _tokens;

    private EmbeddingNode(Parameter table, int[] tokens) => (_table, _tokens) = (table, tokens);

    /// <summary>Looks up the rows of <paramref name="table"/>; recorded only when the table trains.</summary>
    /// <param name="tape">The tape.</param>
    /// <param name="table">[V, D].</param>
    /// <param name="tokens">Ids in [0, V), as [N] I32 on the device.</param>
    /// <param name="hostTokens">The same ids on the host, from which backward derives its summation order.</param>
    public static Variable Apply(Tape tape, Parameter table, Tensor tokens, int[] hostTokens)
    {
        var y = Tensor.Empty(tape.Device, (tokens.Dim(0), table.Value.Dim(1)), table.Value.DType);
        Embedding.Forward(table.Value, tokens, y);
        return new Variable(y, tape.Records && table.Trains ? tape.Record(new EmbeddingNode(table, hostTokens)) : null);
    }

    /// <summary>Positions are sorted by id on the host, so that each row of the table is summed by one thread block in a fixed order.</summary>
    protected override void Backward(Tensor gradient)
    {
        var order = new int[_tokens.Length];
        for (var i = 0; i < order.Length; i++)
            order[i] = i;
        var keys = (int[])_tokens.Clone();
        Array.Sort(keys, order);
        var ids = new List<int>();
        var segments = new List<int>();
        for (var i = 0; i < keys.Length; i++)
        {
            if (i > 0 && keys[i] == keys[i - 1])
                continue;
            ids.Add(keys[i]);
            segments.Add(i);
        }
        segments.Add(keys.Length);
        // Array.Sort is not stable: order the positions within each id, so that sums do not depend on its algorithm.
        for (var s = 0; s < ids.Count; s++)
            Array.Sort(order, segments[s], segments[s + 1] - segments[s]);
        using var orderOnDevice = Tensor.From(gradient.Device, order, order.Length);
        using var segmentsOnDevice = Tensor.From(gradient.Device, segments.ToArray(), segments.Count);
        using var idsOnDevice = Tensor.From(gradient.Device, ids.ToArray(), ids.Count);
        Embedding.Backward(gradient, orderOnDevice, segmentsOnDevice, idsOnDevice, _table.Gradient!, accumulate: true);
    }
}
