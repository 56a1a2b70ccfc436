using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Optim;

namespace Spectral.Training.Autograd;

/// <summary>
/// The norm y = (x − mean(x)) / √(var(x) + ε) ∘ w + b of each row of x [N, D] (Ba, Kiros and Hinton, "Layer
/// Normalization", 2016).
/// </summary>
public sealed class LayerNormNode : Node
{
    private readonly Node? _input;
    private readonly Parameter _weight;
    private readonly Parameter? _bias;
    private readonly Tensor _x;
    private readonly Tensor _statistics;

    private LayerNormNode(Variable x, Parameter weight, Parameter? bias, Tensor statistics)
    {
        _input = x.Node;
        (_weight, _bias) = (weight, bias);
        _x = Save(x.Value);
        _statistics = Own(statistics);
    }

    /// <summary>Normalises the rows of x [N, D] with weight [D] and bias [D].</summary>
    /// <param name="tape">The tape to record on.</param>
    /// <param name="x">The input [N, D].</param>
    /// <param name="weight">The weight w [D].</param>
    /// <param name="bias">The bias b [D]; null: none.</param>
    /// <param name="epsilon">The ε in the formula.</param>
    public static Variable Apply(Tape tape, Variable x, Parameter weight, Parameter? bias, float epsilon) =>
        Apply(tape, x, weight, bias, epsilon, x.Value.Dim(1));

    /// <summary>
    /// Does the same with result rows <paramref name="stride"/> elements apart, so that the next operation can append
    /// columns to them.
    /// </summary>
    internal static Variable Apply(Tape tape, Variable x, Parameter weight, Parameter? bias, float epsilon, int stride)
    {
        var y = new ColumnRange(Tensor.Empty(tape.Device, (x.Value.Dim(0), stride), x.Value.DType), 0, x.Value.Dim(1));
        var statistics = Tensor.Empty(tape.Device, (x.Value.Dim(0), 2));
        LayerNorm.Forward(x.Value, weight.Value, bias?.Value, epsilon, y, statistics);
        if (tape.Records && (x.Node is not null || weight.Trains || bias is { Trains: true }))
            return new Variable(y, tape.Record(new LayerNormNode(x, weight, bias, statistics)));
        statistics.Dispose();
        return new Variable(y);
    }

    /// <summary>Computes dx. The gradient that passed along the residual is added in the same pass.</summary>
    protected override void Backward(Tensor gradient)
    {
        ColumnRange? residual = _input?.TakeColumns();
        using Tensor? held = residual?.Matrix;
        ColumnRange dx = Place(_input, _x.Dim(0), _x.Dim(1), _x);
        LayerNorm.Backward(
            _x,
            _weight.Value,
            _statistics,
            gradient,
            dx,
            residual,
            _weight.Gradient,
            _bias?.Gradient,
            accumulate: true
        );
        Deposit(_input, dx);
    }
}
