using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Autograd;
using Spectral.Training.Optim;

namespace Spectral.Training.Models;

/// <summary>The lookup y[n] = table[token[n]] of tokens [N] in a table [V, D].</summary>
public sealed class EmbeddingNode : Node
{
    private readonly Parameter _table;
    private readonly Tensor _order;
    private readonly Tensor _segments;
    private readonly Tensor _ids;

    private EmbeddingNode(Parameter table, TokenOrder order) =>
        (_table, _order, _segments, _ids) = (table, Save(order.Order), Save(order.Segments), Save(order.Ids));

    /// <summary>Looks up the rows of <paramref name="table"/>; recorded only when the table trains.</summary>
    /// <param name="tape">The tape that records the lookup.</param>
    /// <param name="table">The table [V, D].</param>
    /// <param name="tokens">Ids in [0, V), as [N] I32 on the device.</param>
    /// <param name="order">
    /// The same ids sorted, for backward, or their places if only some rows train
    /// (<see cref="BatchTensors.OrderFor"/>); null if the table does not train or the tape does not record.
    /// </param>
    public static Variable Apply(Tape tape, Parameter table, Tensor tokens, TokenOrder? order)
    {
        var y = Tensor.Empty(tape.Device, (tokens.Dim(0), table.Value.Dim(1)), table.Value.DType);
        Embedding.Forward(table.Value, tokens, y);
        return new Variable(y, order is null ? null : tape.Record(new EmbeddingNode(table, order)));
    }

    /// <summary>
    /// Adds the gradient of the table. One warp sums each row in order of positions, so that the result is
    /// deterministic.
    /// </summary>
    protected override void Backward(Tensor gradient) =>
        Embedding.Backward(
            gradient,
            _order,
            _segments,
            _ids,
            (_table.Rows?.Gradient ?? _table.Gradient)!,
            accumulate: true
        );
}
