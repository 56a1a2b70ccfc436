using Spectral.Training.Adapters.Expressions;

namespace Spectral.Training.Adapters.Building;

/// <summary>
/// The whole spectrum of a layer's weight in frozen factors U [out, n], S [n] and V [n, in], n = min(out, in). A form
/// made of it replaces the weight, because a full-rank core would cost two more products of the base's size per token.
/// </summary>
/// <param name="prefix">What the factors' names begin with.</param>
internal sealed class WholeSpectrum(string prefix)
{
    private readonly string _left = prefix + "_U";
    private readonly string _values = prefix + "_S";
    private readonly string _right = prefix + "_V";

    /// <summary>Returns W + U·diag(change of the singular values)·V.</summary>
    /// <param name="layer">The builder of the layer's form.</param>
    /// <param name="change">Returns the change from the values and a trained shift of them that begins at zero.</param>
    public AdapterForm Form(AdapterBuilder layer, Func<Expression, Expression, Expression> change)
    {
        int rank = Math.Min(layer.Out, layer.In);
        Factor u = layer.Frozen(_left, (layer.Out, rank));
        Factor sigma = layer.Frozen(_values, rank);
        Factor v = layer.Frozen(_right, (rank, layer.In));
        Expression values = change(sigma, layer.Trained(prefix + "_delta", rank));
        return new AdapterForm { Weight = layer.Weight.Add(u.ScaleColumns(values).MatMul(v)) };
    }

    /// <summary>Starts the factors as the weights' decompositions.</summary>
    public void Begin(IReadOnlyList<AdapterStart> starts) =>
        SingularTriplets.ComputeLast(
            starts,
            start => start.Factors[_values].Master.Dim(0),
            (start, svd, _) =>
            {
                start[_left].CopyFrom(svd.U);
                start[_values].CopyFrom(svd.S);
                start[_right].CopyFrom(svd.Vt);
            }
        );
}
