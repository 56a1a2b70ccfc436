using Spectral.Kernels;

namespace Spectral.Training.Autograd;

/// <summary>The elements of a matrix in rows of another length, in the same order.</summary>
internal sealed class ReshapeNode : Node
{
    private readonly Node _input;
    private readonly Shape _shape;

    private ReshapeNode(Node input, Shape shape) => (_input, _shape) = (input, shape);

    /// <summary>Cuts the rows of x into rows of a length that divides theirs, or joins such rows again.</summary>
    /// <param name="tape">The tape to record on.</param>
    /// <param name="x">The matrix [N, D]; copied only if it is columns of a wider one.</param>
    /// <param name="columns">The length C of the new rows, of which there are N·D/C.</param>
    public static Variable Apply(Tape tape, Variable x, int columns)
    {
        (int rows, int width) = (x.Columns.Rows, x.Columns.Count);
        using Tensor whole = width == x.Columns.Stride ? x.Value.Share() : x.Columns.Copy();
        Tensor y = whole.View(((int)((long)rows * width / columns), columns));
        bool records = tape.Records && x.Node is not null && columns != width;
        return new Variable(y, records ? tape.Record(new ReshapeNode(x.Node!, (rows, width))) : x.Node);
    }

    /// <summary>Passes the same elements on.</summary>
    protected override void Backward(Tensor gradient) => _input.Accumulate(gradient.View(_shape), shared: true);
}
