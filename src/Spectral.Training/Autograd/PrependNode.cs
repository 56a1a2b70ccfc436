using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Autograd;

/// <summary>
/// The concatenation y = [p; x] along the sequence: the same n rows p before the S rows of each sequence of x [B·S, F].
/// </summary>
internal sealed class PrependNode : Node
{
    private readonly Node? _rows;
    private readonly Node? _input;
    private readonly Shape _shape;
    private readonly int _column;
    private readonly int _count;
    private readonly int _batch;

    private PrependNode(Node? rows, Shape shape, int column, Node? input, int count, int batch) =>
        (_rows, _shape, _column, _input, _count, _batch) = (rows, shape, column, input, count, batch);

    /// <summary>Puts rows before each sequence. The result is [B·(n + S), F].</summary>
    /// <param name="tape">The tape to record on.</param>
    /// <param name="rows">The rows p [n, F], which may be columns of a wider matrix [n, W].</param>
    /// <param name="node">
    /// The node that receives the gradient of all of that matrix, [n, W] F32, as a sum over the sequences; null: none.
    /// </param>
    /// <param name="x">The sequences [B·S, F].</param>
    /// <param name="batch">The number of sequences, B.</param>
    public static Variable Apply(Tape tape, ColumnRange rows, Node? node, Variable x, int batch)
    {
        Tensor y = LeadingRows.Add(rows, rows.Rows, x.Columns, batch);
        bool records = tape.Records && (node is not null || x.Node is not null);
        return new Variable(
            y,
            records ? tape.Record(new PrependNode(node, rows.Matrix.Shape, rows.From, x.Node, rows.Rows, batch)) : null
        );
    }

    /// <summary>Puts <paramref name="count"/> rows of zeros before each sequence.</summary>
    /// <inheritdoc cref="Apply"/>
    public static Variable ApplyZeros(Tape tape, int count, Variable x, int batch)
    {
        Tensor y = LeadingRows.Add(null, count, x.Columns, batch);
        bool records = tape.Records && x.Node is not null;
        return new Variable(y, records ? tape.Record(new PrependNode(null, default, 0, x.Node, count, batch)) : null);
    }

    /// <summary>Splits dy: the leading rows are summed over the sequences, the others are those of x.</summary>
    protected override void Backward(Tensor gradient)
    {
        if (_rows is not null)
        {
            using Tensor sum = LeadingRows.Sum(gradient, _count, _batch);
            Tensor buffer = _rows.GradientBuffer(_shape, sum, out bool accumulate);
            if (!accumulate)
                buffer.Clear();
            CopyBlock.AddInto(sum, buffer, 0, _column);
        }
        if (_input is not null)
            _input.Accumulate(LeadingRows.Remove(gradient, _count, _batch));
    }
}
