using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Optim;

namespace Spectral.Training.Autograd;

/// <summary>
/// The norm y = x / √(mean(x²) + ε) ∘ (w + o) of each row of x [N, D] (Zhang and Sennrich, "Root Mean Square Layer
/// Normalization", 2019); o is 0, or 1 where weights are stored as differences to 1.
/// </summary>
public sealed class RmsNormNode : Node
{
    private readonly Node? _input;
    private readonly Parameter _weight;
    private readonly Tensor _x;
    private readonly Tensor _inverseRms;
    private readonly float _weightOffset;

    private RmsNormNode(Variable x, Parameter weight, float weightOffset, Tensor inverseRms)
    {
        _input = x.Node;
        (_weight, _weightOffset) = (weight, weightOffset);
        _x = Save(x.Value);
        _inverseRms = Own(inverseRms);
    }

    /// <summary>Normalises the rows of x [N, D] with weight [D].</summary>
    /// <param name="tape">The tape to record on.</param>
    /// <param name="x">The input [N, D].</param>
    /// <param name="weight">The weight w [D].</param>
    /// <param name="epsilon">The ε in the formula.</param>
    /// <param name="weightOffset">The number o that is added to every weight, in F32.</param>
    public static Variable Apply(Tape tape, Variable x, Parameter weight, float epsilon, float weightOffset = 0) =>
        Apply(tape, x, weight, epsilon, weightOffset, x.Value.Dim(1));

    /// <summary>
    /// Does the same with result rows <paramref name="stride"/> elements apart, so that the next operation can append
    /// columns to them.
    /// </summary>
    internal static Variable Apply(
        Tape tape,
        Variable x,
        Parameter weight,
        float epsilon,
        float weightOffset,
        int stride
    )
    {
        var y = new ColumnRange(Tensor.Empty(tape.Device, (x.Value.Dim(0), stride), x.Value.DType), 0, x.Value.Dim(1));
        var inverseRms = Tensor.Empty(tape.Device, x.Value.Dim(0));
        RmsNorm.Forward(x.Value, weight.Value, epsilon, y, inverseRms, weightOffset);
        if (tape.Records && (x.Node is not null || weight.Trains))
            return new Variable(y, tape.Record(new RmsNormNode(x, weight, weightOffset, inverseRms)));
        inverseRms.Dispose();
        return new Variable(y);
    }

    /// <summary>Computes dx. The gradient that passed along the residual is added in the same pass.</summary>
    protected override void Backward(Tensor gradient)
    {
        ColumnRange? residual = _input?.TakeColumns();
        using Tensor? held = residual?.Matrix;
        ColumnRange dx = Place(_input, _x.Dim(0), _x.Dim(1), _x);
        RmsNorm.Backward(
            _x,
            _weight.Value,
            _inverseRms,
            gradient,
            dx,
            residual,
            _weight.Gradient,
            accumulateWeight: true,
            _weightOffset
        );
        Deposit(_input, dx);
    }
}
