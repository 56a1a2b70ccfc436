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
    private readonly Parameter[] _weights;
    private readonly Parameter? _bias;
    private readonly Tensor _x;
    private readonly Tensor _statistics;

    private LayerNormNode(Variable x, Parameter[] weights, Parameter? bias, Tensor statistics)
    {
        _input = x.Node;
        (_weights, _bias) = (weights, bias);
        _x = Save(x.Value);
        _statistics = Own(statistics);
    }

    /// <summary>Normalises the rows of x [N, D] with weight [D] and bias [D].</summary>
    /// <param name="tape">The tape to record on.</param>
    /// <param name="x">The input [N, D].</param>
    /// <param name="weight">The weight w [D]; or [H, D], of which row n of x has row n mod H.</param>
    /// <param name="bias">The bias b [D]; null: none.</param>
    /// <param name="epsilon">The ε in the formula.</param>
    public static Variable Apply(Tape tape, Variable x, Parameter weight, Parameter? bias, float epsilon) =>
        Apply(tape, x, [weight], bias, epsilon, x.Value.Dim(1));

    /// <summary>
    /// Does the same with result rows <paramref name="stride"/> elements apart, so that the next operation can append
    /// columns to them. The weight may be several parameters [D], one for each row of it.
    /// </summary>
    internal static Variable Apply(
        Tape tape,
        Variable x,
        Parameter[] weights,
        Parameter? bias,
        float epsilon,
        int stride
    )
    {
        var y = new ColumnRange(Tensor.Empty(tape.Device, (x.Value.Dim(0), stride), x.Value.DType), 0, x.Value.Dim(1));
        var statistics = Tensor.Empty(tape.Device, (x.Value.Dim(0), 2));
        using (Tensor weight = Whole(weights))
            LayerNorm.Forward(x.Value, weight, bias?.Value, epsilon, y, statistics);
        if (tape.Records && (x.Node is not null || AnyTrains(weights) || bias is { Trains: true }))
            return new Variable(y, tape.Record(new LayerNormNode(x, weights, bias, statistics)));
        statistics.Dispose();
        return new Variable(y);
    }

    /// <summary>Computes dx. The gradient that passed along the residual is added in the same pass.</summary>
    protected override void Backward(Tensor gradient)
    {
        ColumnRange? residual = _input?.TakeColumns();
        using Tensor? held = residual?.Matrix;
        ColumnRange dx = Place(_input, _x.Dim(0), _x.Dim(1), _x);
        using Tensor weight = Whole(_weights);
        using Tensor? dParts =
            _weights.Length > 1 && AnyTrains(_weights) ? Tensor.Zeros(_x.Device, weight.Shape) : null;
        LayerNorm.Backward(
            _x,
            weight,
            _statistics,
            gradient,
            dx,
            residual,
            dParts ?? (_weights.Length == 1 ? _weights[0].Gradient : null),
            _bias?.Gradient,
            accumulate: true
        );
        for (int i = 0; i < _weights.Length && dParts is not null; i++)
        {
            if (_weights[i].Gradient is not { } part)
                continue;
            using Tensor row = dParts.Rows(i, 1);
            using Tensor target = part.View((1, part.Dim(0)));
            Add.Forward(row, target, target);
        }
        Deposit(_input, dx);
    }

    private static bool AnyTrains(Parameter[] weights) => Array.Exists(weights, weight => weight.Trains);

    // Parameters of their own are copied side by side at each use: an adapter may replace any of them meanwhile.
    private static Tensor Whole(Parameter[] weights)
    {
        if (weights is [var only])
            return only.Value.Share();
        var whole = Tensor.Empty(weights[0].Device, (weights.Length, weights[0].Shape[0]), weights[0].DType);
        for (int i = 0; i < weights.Length; i++)
        {
            using Tensor row = whole.Rows(i, 1);
            using Tensor flat = row.View(row.Dim(1));
            flat.CopyFrom(weights[i].Value);
        }
        return whole;
    }
}
