using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Autograd;

namespace Spectral.Training.Models;

/// <summary>
/// The choice of k experts for each token, and their weights: their share of a softmax over all experts (Shazeer et
/// al., "Outrageously Large Neural Networks", 2017).
/// </summary>
internal sealed class RouterNode : Node
{
    private readonly Node _input;
    private readonly RouterBalance? _balance;
    private readonly bool _normalises;
    private readonly DType _type;
    private readonly Tensor _probabilities;
    private readonly Tensor _index;
    private readonly Tensor _weights;

    private RouterNode(
        Variable logits,
        ExpertsConfig experts,
        RouterBalance? balance,
        Tensor probabilities,
        Tensor index,
        Tensor weights
    )
    {
        (_input, _balance, _normalises) = (logits.Node!, balance, experts.NormalisesWeights);
        _type = logits.Value.DType;
        _probabilities = Save(probabilities);
        _index = Save(index);
        _weights = Save(weights);
    }

    /// <summary>Chooses experts. Waits for the device.</summary>
    /// <param name="tape">The tape to record on.</param>
    /// <param name="logits">The output of the router's linear layer, [N, E].</param>
    /// <param name="experts">How many experts each token goes to, and how they are weighted.</param>
    /// <param name="balance">The loss that balances their load; null: none.</param>
    /// <returns>The weights [N, k] F32, and the tokens by expert, which the caller disposes.</returns>
    public static (Variable Weights, ExpertOrder Order) Apply(
        Tape tape,
        Variable logits,
        ExpertsConfig experts,
        RouterBalance? balance
    )
    {
        (int tokens, int count) = (logits.Value.Dim(0), logits.Value.Dim(1));
        using var probabilities = Tensor.Empty(tape.Device, (tokens, count));
        using var index = Tensor.Empty(tape.Device, (tokens, experts.PerToken), DType.I32);
        var weights = Tensor.Empty(tape.Device, (tokens, experts.PerToken));
        ExpertRouter.Forward(logits.Value, experts.NormalisesWeights, probabilities, index, weights);
        var order = ExpertOrder.Of(index, count, balance);
        balance?.Add(probabilities);
        Node? node =
            tape.Records && logits.Node is not null
                ? tape.Record(new RouterNode(logits, experts, balance, probabilities, index, weights))
                : null;
        return (new Variable(weights, node), order);
    }

    /// <summary>Computes the gradient of the logits, with that of the balance of all routers.</summary>
    protected override void Backward(Tensor gradient)
    {
        var dLogits = Tensor.Empty(gradient.Device, _probabilities.Shape, _type);
        ExpertRouter.Backward(
            _probabilities,
            _index,
            _weights,
            _normalises,
            gradient,
            _balance?.Slope,
            _balance?.Mask,
            dLogits
        );
        Deposit(_input, dLogits);
    }
}
