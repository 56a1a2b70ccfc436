using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Autograd;

/// <summary>
/// The value y = gelu(x) ∘ up, all [N, F], or y = gelu(x) (Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016;
/// Shazeer, "GLU Variants Improve Transformer", 2020).
/// </summary>
public sealed class GeluNode : Node
{
    private readonly GeluForm _form;
    private readonly Node? _inputNode;
    private readonly Node? _upNode;
    private readonly ColumnRange _x;
    private readonly ColumnRange? _up;

    private GeluNode(GeluForm form, Variable x, Variable? up)
    {
        (_form, _inputNode, _upNode) = (form, x.Node, up?.Node);
        _x = Save(x.Columns);
        _up = up is null ? default(ColumnRange?) : Save(up.Columns);
    }

    /// <summary>Computes the unit of <paramref name="x"/>, times <paramref name="up"/>.</summary>
    /// <param name="tape">The tape to record on.</param>
    /// <param name="form">The formula of the unit.</param>
    /// <param name="x">The input [N, F].</param>
    /// <param name="up">The values to gate, [N, F]; null: the unit by itself.</param>
    public static Variable Apply(Tape tape, GeluForm form, Variable x, Variable? up) =>
        Apply(tape, form, x, up, x.Columns.Count);

    /// <summary>
    /// Does the same with result rows <paramref name="stride"/> elements apart, so that the next operation can append
    /// columns to them.
    /// </summary>
    internal static Variable Apply(Tape tape, GeluForm form, Variable x, Variable? up, int stride)
    {
        (int rows, int columns, DType type) = (x.Columns.Rows, x.Columns.Count, x.Columns.Matrix.DType);
        var y = new ColumnRange(Tensor.Empty(tape.Device, (rows, stride), type), 0, columns);
        Gelu.Forward(form, x.Columns, up?.Columns, y);
        bool records = tape.Records && (x.Node is not null || up?.Node is not null);
        return new Variable(y, records ? tape.Record(new GeluNode(form, x, up)) : null);
    }

    /// <summary>Computes both gradients in one pass. The unit is recomputed, not saved.</summary>
    protected override void Backward(Tensor gradient)
    {
        ColumnRange dx = Place(_inputNode, _x.Rows, _x.Count, gradient);
        ColumnRange? dUp = _up is { } up ? Place(_upNode, up.Rows, up.Count, gradient) : default(ColumnRange?);
        Gelu.Backward(_form, _x, _up, gradient, dx, dUp);
        Deposit(_inputNode, dx);
        if (dUp is { } added)
            Deposit(_upNode, added);
    }
}
