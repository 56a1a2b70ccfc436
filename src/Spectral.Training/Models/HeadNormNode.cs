using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Autograd;
using Spectral.Training.Optim;

namespace Spectral.Training.Models;

/// <summary>
/// The norm y = x / √(mean(x²) + ε) ∘ w of each head of queries or keys (Henry et al., "Query-Key Normalization for
/// Transformers", 2020; with the root mean square).
/// </summary>
internal sealed class HeadNormNode : Node
{
    private readonly Node? _input;
    private readonly Parameter _weight;
    private readonly Tensor _x;
    private readonly Tensor _inverseRms;

    private HeadNormNode(Node? input, Parameter weight, Tensor x, Tensor inverseRms)
    {
        _input = input;
        _weight = weight;
        _x = Save(x);
        _inverseRms = Own(inverseRms);
    }

    /// <summary>Normalises each run of as many features as the weight has.</summary>
    /// <param name="tape">The tape to record on.</param>
    /// <param name="x">The queries or keys [N, H·hd].</param>
    /// <param name="weight">The weight w: [hd] for each head by itself, [H·hd] for all heads together.</param>
    /// <param name="epsilon">The ε in the formula.</param>
    public static Variable Apply(Tape tape, Variable x, Parameter weight, float epsilon)
    {
        (int rows, int width, int size) = (x.Columns.Rows, x.Columns.Count, weight.Value.Dim(0));
        using Tensor whole = x.Columns.Count == x.Columns.Stride ? x.Value.Share() : x.Columns.Copy();
        using Tensor heads = whole.View((rows * width / size, size));
        var y = Tensor.Empty(tape.Device, (rows, width), whole.DType);
        using Tensor normed = y.View(heads.Shape);
        var inverseRms = Tensor.Empty(tape.Device, heads.Dim(0));
        RmsNorm.Forward(heads, weight.Value, epsilon, normed, inverseRms);
        if (tape.Records && (x.Node is not null || weight.Trains))
            return new Variable(y, tape.Record(new HeadNormNode(x.Node, weight, heads, inverseRms)));
        inverseRms.Dispose();
        return new Variable(y);
    }

    /// <summary>Computes dx, and adds to the gradient of a weight that trains.</summary>
    protected override void Backward(Tensor gradient)
    {
        var dx = Tensor.Empty(gradient.Device, gradient.Shape, gradient.DType);
        using Tensor dHeads = gradient.View(_x.Shape);
        using Tensor target = dx.View(_x.Shape);
        RmsNorm.Backward(
            _x,
            _weight.Value,
            _inverseRms,
            dHeads,
            target,
            null,
            _weight.Gradient,
            accumulateWeight: true
        );
        Deposit(_input, dx);
    }
}
