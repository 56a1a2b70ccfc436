using Spectral.Training.Autograd;
using Spectral.Training.Optim;

namespace Spectral.Training.Models;

/// <summary>A norm of a model: what it computes, and its parameters.</summary>
internal sealed class Norm
{
    private readonly NormForm _form;
    private readonly Parameter[] _weights;
    private readonly Parameter? _bias;
    private readonly float _epsilon;

    /// <summary>Creates a norm on parameters, which stay owned by the model.</summary>
    /// <param name="form">What the norm computes.</param>
    /// <param name="weights">The weight [D]; or those of H heads, one [H, D] or H of [D], for a centered form.</param>
    /// <param name="bias">The bias [D] of a form that has one; otherwise null.</param>
    /// <param name="epsilon">The number that is added to the mean square.</param>
    public Norm(NormForm form, IReadOnlyList<Parameter> weights, Parameter? bias, float epsilon) =>
        (_form, _weights, _bias, _epsilon) = (form, [.. weights], bias, epsilon);

    /// <summary>Whether any of its parameters trains.</summary>
    public bool Trains => Array.Exists(_weights, weight => weight.Trains) || _bias is { Trains: true };

    /// <summary>Normalises the rows of x [N, D].</summary>
    /// <param name="tape">The tape to record on.</param>
    /// <param name="x">The input [N, D].</param>
    /// <param name="stride">
    /// The distance between rows of the result in elements, so that the next operation can append columns to them;
    /// null: D.
    /// </param>
    public Variable Apply(Tape tape, Variable x, int? stride = null) =>
        _form.IsCentered
            ? LayerNormNode.Apply(tape, x, _weights, _bias, _epsilon, stride ?? x.Value.Dim(1))
            : RmsNormNode.Apply(tape, x, _weights[0], _epsilon, _form.WeightOffset, stride ?? x.Value.Dim(1));

    /// <summary>
    /// Normalises queries or keys (Henry et al., "Query-Key Normalization for Transformers", 2020): each run of as many
    /// features as the weight has, which is a head or all of them.
    /// </summary>
    /// <param name="tape">The tape to record on.</param>
    /// <param name="x">The queries or keys [N, H·hd].</param>
    public Variable ApplyToHeads(Tape tape, Variable x)
    {
        using Variable heads = ReshapeNode.Apply(tape, x, _weights[0].Shape[_weights[0].Shape.Rank - 1]);
        using Variable normed = Apply(tape, heads);
        return ReshapeNode.Apply(tape, normed, x.Columns.Count);
    }
}
