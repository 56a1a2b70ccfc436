using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Autograd;

namespace Spectral.Training.Models;

/// <summary>
/// The loss E Σ_e f_e P_e that balances the load of the experts of one batch (Fedus et al., "Switch Transformers",
/// 2021), where f_e is the number of times that a token goes to expert e, per token, and P_e the mean probability of e.
/// Both are over the tokens that are not padding, of all layers with experts together, as in transformers.
/// </summary>
/// <remarks>
/// The choices, and with them f, have no gradient. The loss is known after the last layer, so that its gradient is left
/// in a tensor that the routers read in backward. Being the first node on the tape, this one keeps its tensors until
/// backward has passed all of them.
/// </remarks>
internal sealed class RouterBalance : Node
{
    private readonly ExpertsConfig _experts;
    private readonly bool[] _isReal;
    private readonly long[] _counts;
    private readonly Tensor _sums;
    private int _layers;
    private bool _isComplete;

    private RouterBalance(Device device, ExpertsConfig experts, bool[] isReal)
    {
        (_experts, _isReal, _counts) = (experts, isReal, new long[experts.Count]);
        Mask = Own(Tensor.From(device, Array.ConvertAll(isReal, real => real ? 1f : 0f), isReal.Length));
        Slope = Own(Tensor.Zeros(device, experts.Count));
        _sums = Own(Tensor.Zeros(device, (1, experts.Count)));
    }

    /// <summary>1 for each token that counts, 0 for padding; [N] F32.</summary>
    public Tensor Mask { get; }

    /// <summary>The gradient of each probability of an expert, for tokens that count, [E] F32.</summary>
    public Tensor Slope { get; }

    /// <summary>Begins the loss of a batch.</summary>
    /// <param name="tape">The tape, on which nothing of the batch is recorded yet.</param>
    /// <param name="experts">The experts of the model.</param>
    /// <param name="isReal">Whether each token of the routers' input counts, [N].</param>
    public static RouterBalance Begin(Tape tape, ExpertsConfig experts, bool[] isReal) =>
        tape.Record(new RouterBalance(tape.Device, experts, isReal));

    /// <summary>Adds the choices of a router, [N·k], to f.</summary>
    public void Count(ReadOnlySpan<int> chosen)
    {
        if (_isComplete) // the activations of a layer are computed again
            return;
        int k = _experts.PerToken;
        for (int i = 0; i < chosen.Length; i++)
        {
            if (_isReal[i / k])
                _counts[chosen[i]]++;
        }
    }

    /// <summary>Adds the probabilities [N, E] of a router to P.</summary>
    public void Add(Tensor probabilities)
    {
        if (_isComplete)
            return;
        _layers++;
        using Tensor mask = Mask.View((1, _isReal.Length));
        Gemm.Run(mask, probabilities, _sums, 1, 1);
    }

    /// <summary>Adds the loss, times a factor, to a sum of losses, and computes the slope.</summary>
    /// <param name="sum">The sum, [1] F32.</param>
    /// <param name="factor">The factor, beside the coefficient of the config.</param>
    /// <param name="gradientScale">A further factor of the gradient.</param>
    /// <param name="lossScale">A further factor of the gradient, [1] F32 on the device; null: 1.</param>
    public void Complete(Tensor sum, double factor, float gradientScale, Tensor? lossScale)
    {
        _isComplete = true;
        double tokens = (double)_layers * _isReal.Count(real => real);
        double scale = tokens == 0 ? 0 : factor * _experts.BalanceCoefficient * _experts.Count / (tokens * tokens);
        float[] slope = Array.ConvertAll(_counts, count => (float)(scale * count));
        using var term = Tensor.From(sum.Device, slope, (1, slope.Length));
        using Tensor total = sum.View((1, 1));
        Gemm.Run(_sums, Gemm.Transposed(term), total, 1, 1);
        using Tensor target = Slope.View((1, slope.Length));
        using Tensor one = lossScale?.View((1, 1)) ?? Tensor.From(sum.Device, [1f], (1, 1));
        Gemm.Run(one, term, target, gradientScale);
    }
}
