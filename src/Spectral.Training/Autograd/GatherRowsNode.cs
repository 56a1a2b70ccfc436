using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Autograd;

/// <summary>
/// The selection y[i] = x[index[i]] of rows of x [N, D], for the rows that carry loss. Indices are distinct.
/// </summary>
public sealed class GatherRowsNode : Node
{
    private readonly Node _input;
    private readonly Tensor _index;
    private readonly Shape _shape;

    private GatherRowsNode(Variable x, Tensor index)
    {
        _input = x.Node!;
        _index = Save(index);
        _shape = x.Value.Shape;
    }

    /// <summary>Gathers the rows at <paramref name="index"/> [K] I32.</summary>
    /// <param name="tape">The tape to record on.</param>
    /// <param name="x">The source [N, D].</param>
    /// <param name="index">The rows to gather, [K] I32, distinct.</param>
    public static Variable Apply(Tape tape, Variable x, Tensor index)
    {
        var y = Tensor.Empty(tape.Device, (index.Dim(0), x.Value.Dim(1)), x.Value.DType);
        Rows.Gather(x.Value, index, y);
        return new Variable(y, tape.Records && x.Node is not null ? tape.Record(new GatherRowsNode(x, index)) : null);
    }

    /// <summary>Scatters dy. Rows that were not gathered get zero.</summary>
    protected override void Backward(Tensor gradient)
    {
        var dx = Tensor.Empty(gradient.Device, _shape, gradient.DType);
        Rows.Scatter(gradient, _index, dx);
        _input.Accumulate(dx);
    }
}
