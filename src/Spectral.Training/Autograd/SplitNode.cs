using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Autograd;

/// <summary>
/// The columns of a matrix [N, D] as values side by side, [N, w₁], [N, w₂] …, which share its memory. The operations
/// that read them write their gradients into columns of one matrix, so that neither direction copies.
/// </summary>
internal sealed class SplitNode : Node
{
    private readonly Node _input;
    private readonly (int From, int Count)[] _parts;
    private readonly bool[] _given;
    private readonly (Device Device, DType Type, int Rows, int Columns) _like;
    private ColumnRange? _target; // the gradient of the input

    private SplitNode(Node input, ColumnRange x, (int From, int Count)[] parts)
    {
        (_input, _parts, _given) = (input, parts, new bool[parts.Length]);
        _like = (x.Matrix.Device, x.Matrix.DType, x.Rows, x.Count);
    }

    /// <summary>Takes a matrix apart. The caller keeps its own handle on it.</summary>
    /// <param name="tape">The tape that records the operation.</param>
    /// <param name="x">The matrix [N, D].</param>
    /// <param name="widths">The widths of the values, which add up to D.</param>
    public static Variable[] Apply(Tape tape, Variable x, IReadOnlyList<int> widths)
    {
        var parts = new (int From, int Count)[widths.Count];
        int from = 0;
        for (int i = 0; i < parts.Length; i++)
        {
            parts[i] = (from, widths[i]);
            from += widths[i];
        }
        if (from != x.Columns.Count)
        {
            throw new ArgumentException(
                $"widths {string.Join(", ", widths)} of a matrix of {x.Columns.Count} columns, expected that sum",
                nameof(widths)
            );
        }

        SplitNode? node =
            tape.Records && x.Node is { } input ? tape.Record(new SplitNode(input, x.Columns, parts)) : null;
        return
        [
            .. parts.Select(
                (part, i) =>
                    new Variable(
                        new ColumnRange(x.Columns.Matrix.Share(), x.Columns.From + part.From, part.Count),
                        node is null ? null : tape.Record(new PartNode(node, i))
                    )
            ),
        ];
    }

    /// <summary>Passes the gradient of the matrix on once all values have theirs.</summary>
    private protected override void Pass()
    {
        if (!Array.Exists(_given, given => given))
            return;
        ColumnRange target = Target();
        for (int i = 0; i < _parts.Length; i++)
        {
            // Values that nothing reads are rare; zeros cost little.
            if (_given[i])
                continue;
            using var zeros = Tensor.Zeros(_like.Device, (_like.Rows, _parts[i].Count), _like.Type);
            CopyBlock.Run(zeros, target.Matrix, 0, target.From + _parts[i].From);
        }
        Deposit(_input, target with { Matrix = target.Matrix.Share() });
    }

    private ColumnRange Target()
    {
        if (_target is { } made)
            return made;
        ColumnRange target = PlaceOf(_input) ?? Tensor.Empty(_like.Device, (_like.Rows, _like.Columns), _like.Type);
        Own(target.Matrix);
        _target = target;
        return target;
    }

    /// <summary>
    /// Receives the gradient of one value. Backward passes it before the operation itself, which then has the gradients
    /// of all of them.
    /// </summary>
    private sealed class PartNode(SplitNode owner, int index) : Node
    {
        private protected override ColumnRange? Place()
        {
            ColumnRange target = owner.Target();
            (int from, int count) = owner._parts[index];
            return new ColumnRange(target.Matrix.Share(), target.From + from, count);
        }

        /// <summary>
        /// Takes the gradient. If it is not in its columns already, as from operations that write whole tensors, it is
        /// copied there.
        /// </summary>
        private protected override void Backward(ColumnRange gradient)
        {
            owner._given[index] = true;
            ColumnRange target = owner.Target();
            int column = target.From + owner._parts[index].From;
            if (gradient.Pointer != target.Matrix.Pointer + (ulong)(column * target.Matrix.DType.Size()))
                CopyBlock.Run(gradient, target.Matrix, 0, column);
        }
    }
}
