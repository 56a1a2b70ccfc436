using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Autograd;
using Spectral.Training.Models;

namespace Spectral.Training.Adapters;

/// <summary>
/// The lookup y[n] = E[token[n]] + s·L[token[n]] R in a frozen table E [V, D] with a low-rank change. Only rows that
/// occur are read.
/// </summary>
internal sealed class AdaptedEmbeddingNode : Node
{
    private readonly AdapterCore _core;
    private readonly Tensor _projected;
    private readonly Tensor _order;
    private readonly Tensor _segments;
    private readonly Tensor _ids;

    private AdaptedEmbeddingNode(AdapterCore core, Tensor projected, TokenOrder order)
    {
        (_core, _projected) = (core, Own(projected));
        (_order, _segments, _ids) = (Save(order.Order), Save(order.Segments), Save(order.Ids));
    }

    /// <summary>Looks up rows of an embedding with an adapter. Dropout does not act on it, as in PEFT.</summary>
    /// <param name="tape">The tape that records the lookup.</param>
    /// <param name="embedding">The embedding.</param>
    /// <param name="core">The embedding's adapter.</param>
    /// <param name="tokens">Ids in [0, V), as [N] I32 on the device.</param>
    /// <param name="order">
    /// The same ids sorted, for backward; null if nothing trains or the tape does not record.
    /// </param>
    public static Variable Apply(Tape tape, Linear embedding, AdapterCore core, Tensor tokens, TokenOrder? order)
    {
        (LowRankFactors factors, Tensor table) = (core.Factors!, embedding.Weight.Value);
        var y = Tensor.Empty(tape.Device, (tokens.Dim(0), embedding.In), table.DType);
        var projected = Tensor.Empty(tape.Device, (tokens.Dim(0), factors.Rank), table.DType);
        Embedding.Forward(table, tokens, y);
        Embedding.Forward(factors.Left, tokens, projected);
        Gemm.Run(projected, factors.Right, y, factors.Scale, 1);
        if (order is not null)
            return new Variable(y, tape.Record(new AdaptedEmbeddingNode(core, projected, order)));
        projected.Dispose();
        return new Variable(y);
    }

    /// <summary>Computes dR = s·zᵀ dy, and each row of dL as a sum in order of positions.</summary>
    protected override void Backward(Tensor gradient)
    {
        (LowRankFactors factors, LowRankGradients wanted) = (_core.Factors!, _core.Gradients());
        try
        {
            if (wanted.Right is { } right)
                Gemm.Run(Gemm.Transposed(_projected), gradient, right, factors.Scale, 1);
            if (wanted.Left is { } left)
            {
                using var dProjected = Tensor.Empty(gradient.Device, _projected.Shape, gradient.DType);
                Gemm.Run(gradient, Gemm.Transposed(factors.Right), dProjected, factors.Scale);
                Embedding.Backward(dProjected, _order, _segments, _ids, left, accumulate: true);
            }
            _core.Finish(wanted);
        }
        finally
        {
            _core.Release(wanted);
        }
        _core.Backward();
    }
}
