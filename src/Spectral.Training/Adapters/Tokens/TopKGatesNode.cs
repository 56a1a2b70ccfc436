using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Autograd;

namespace Spectral.Training.Adapters.Tokens;

/// <summary>The gates [N, E] of a <see cref="TopKGates"/> from its logits; those of experts not chosen are 0.</summary>
internal sealed class TopKGatesNode : Node
{
    private readonly Node _logits;
    private readonly Tensor _index;
    private readonly Tensor _weights;
    private readonly Tensor _identity;
    private readonly Tensor? _probabilities;
    private readonly Tensor? _slope;
    private readonly Tensor? _mask;

    private TopKGatesNode(Node logits, Choice choice, Tensor identity, Tensor? slope, Tensor? mask)
    {
        _logits = logits;
        _index = Save(choice.Index);
        _weights = Save(choice.Weights);
        _identity = Save(identity);
        if (slope is null)
            return;
        _slope = Own(slope);
        _mask = Save(mask!);
        _probabilities = Save(choice.Probabilities);
    }

    /// <summary>Chooses experts and counts the choices.</summary>
    /// <param name="pass">The forward pass.</param>
    /// <param name="logits">The logits [N, E] F32.</param>
    /// <param name="router">The router.</param>
    public static Variable Apply(in TokenPass pass, Variable logits, TopKGates router)
    {
        (Device device, int tokens, int experts) = (logits.Value.Device, logits.Value.Dim(0), router.Experts);
        using var choice = new Choice(device, tokens, experts, router.Chosen);
        ExpertRouter.Forward(logits.Value, true, choice.Probabilities, choice.Index, choice.Weights);
        using var identity = Tensor.Zeros(device, (experts, experts));
        Combine.AddIdentity(identity, 0, 1, identity);
        var gates = Tensor.Empty(device, (tokens, experts));
        TopKMixture.Forward(identity, choice.Index, choice.Weights, gates);
        bool records = pass.Tape.Records && logits.Node is not null;
        RouterLoads? loads = router.Router is null ? null : pass.Rows.Loads;
        bool balances = records && router is { Router: not null, Balance: > 0 } && pass.Rows.Balance.Factor != 0;
        if (!balances && loads is null)
            return new Variable(gates, records ? Record(pass.Tape, null, null) : null);

        using Tensor counts = Counts(gates, pass.Rows.Mask);
        loads?.Add(router, choice.Probabilities, counts, pass.Rows);
        Tensor? slope = balances ? Slope(counts, router, pass.Rows) : null;
        return new Variable(gates, records ? Record(pass.Tape, slope, pass.Rows.Mask) : null);

        TopKGatesNode Record(Tape tape, Tensor? slope, Tensor? mask) =>
            tape.Record(new TopKGatesNode(logits.Node!, choice, identity, slope, mask));
    }

    /// <summary>Computes the gradient of the logits, with that of the balance.</summary>
    protected override void Backward(Tensor gradient)
    {
        var dLogits = Tensor.Empty(gradient.Device, gradient.Shape);
        if (_slope is not null)
            ExpertRouter.Backward(_probabilities!, _index, _weights, true, null, _slope, _mask, dLogits);
        TopKMixture.BackwardLogits(_identity, _index, _weights, gradient, dLogits, accumulate: _slope is not null);
        Deposit(_logits, dLogits);
    }

    /// <summary>Counts how often each expert is chosen by tokens that are not padding, [1, E].</summary>
    private static Tensor Counts(Tensor gates, Tensor mask)
    {
        using var chosen = Tensor.Empty(gates.Device, gates.Shape);
        ElementwiseMap.Forward(gates, chosen, MapFunction.Sign);
        using Tensor row = mask.View((1, gates.Dim(0)));
        var counts = Tensor.Empty(gates.Device, (1, gates.Dim(1)));
        Gemm.Run(row, chosen, counts);
        return counts;
    }

    /// <summary>
    /// Computes the gradient of each probability of an expert: of E Σ_e f_e P_e, as a mean over the adapter's routers.
    /// </summary>
    private static Tensor Slope(Tensor counts, TopKGates router, TokenRows rows)
    {
        double tokens = rows.RealCount;
        double factor =
            rows.Balance.Factor * router.Balance * router.Experts / (tokens * tokens * router.Chosen * rows.Routers);
        var slope = Tensor.Empty(counts.Device, router.Experts);
        using Tensor row = slope.View((1, router.Experts));
        if (rows.Balance.Scale is { } scale)
        {
            using Tensor one = scale.View((1, 1));
            Gemm.Run(one, counts, row, (float)factor);
        }
        else
        {
            Combine.Run(counts, (float)factor, null, 0, row);
        }

        return slope;
    }

    /// <summary>What a router chose: probabilities [N, E], experts [N, k] and their weights.</summary>
    private sealed class Choice(Device device, int tokens, int experts, int chosen) : IDisposable
    {
        public Tensor Probabilities { get; } = Tensor.Empty(device, (tokens, experts));

        public Tensor Index { get; } = Tensor.Empty(device, (tokens, chosen), DType.I32);

        public Tensor Weights { get; } = Tensor.Empty(device, (tokens, chosen));

        public void Dispose()
        {
            Probabilities.Dispose();
            Index.Dispose();
            Weights.Dispose();
        }
    }
}
