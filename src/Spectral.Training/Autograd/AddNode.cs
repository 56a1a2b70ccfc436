using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Autograd;

/// <summary>The sum y = a + b of [N, D]: the residual connection.</summary>
public sealed class AddNode : Node
{
    private readonly Node? _left;
    private readonly Node? _right;

    private AddNode(Node? left, Node? right) => (_left, _right) = (left, right);

    /// <summary>Adds two values of the same shape and type.</summary>
    /// <param name="tape">The tape to record on.</param>
    /// <param name="a">The residual.</param>
    /// <param name="b">The output of the branch beside it.</param>
    public static Variable Apply(Tape tape, Variable a, Variable b)
    {
        var y = Tensor.Empty(tape.Device, a.Value.Shape, a.Value.DType);
        Add.Forward(a.Value, b.Value, y);
        bool records = tape.Records && (a.Node is not null || b.Node is not null);
        return new Variable(y, records ? tape.Record(new AddNode(a.Node, b.Node)) : null);
    }

    /// <summary>Passes dy itself to both inputs, as a second handle instead of a copy.</summary>
    private protected override void Backward(ColumnRange gradient)
    {
        _left?.Accumulate(gradient with { Matrix = gradient.Matrix.Share() }, shared: true);
        _right?.Accumulate(gradient with { Matrix = gradient.Matrix.Share() }, shared: true);
    }

    /// <summary>
    /// Returns the columns that the branch beside the residual prefers. Its layer reads dy in place; the residual can
    /// read it from anywhere.
    /// </summary>
    private protected override ColumnRange? Place() => PlaceOf(_right);
}
