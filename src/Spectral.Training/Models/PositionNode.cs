using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Autograd;
using Spectral.Training.Optim;

namespace Spectral.Training.Models;

/// <summary>
/// The sum y = x + table[p] of the embeddings of tokens and of their positions p in their sequences, which a model has
/// learned (Gehring et al., "Convolutional Sequence to Sequence Learning", 2017).
/// </summary>
internal sealed class PositionNode : Node
{
    private readonly Node? _input;
    private readonly Parameter _table;
    private readonly int _rows;
    private readonly int _first;

    private PositionNode(Node? input, Parameter table, int rows, int first) =>
        (_input, _table, _rows, _first) = (input, table, rows, first);

    /// <summary>Adds the embeddings of successive positions to every sequence.</summary>
    /// <param name="tape">The tape to record on.</param>
    /// <param name="x">The embeddings of the tokens, [B·S, D].</param>
    /// <param name="table">The embeddings of the positions, [P, D].</param>
    /// <param name="rows">The number of sequences, B.</param>
    /// <param name="first">The position of the first of the S tokens; P is at least this and S.</param>
    public static Variable Apply(Tape tape, Variable x, Parameter table, int rows, int first)
    {
        var y = Tensor.Empty(tape.Device, x.Value.Shape, x.Value.DType);
        y.CopyFrom(x.Value);
        using Tensor sequences = Sequences(y, rows);
        using Tensor positions = Positions(table.Value, first, sequences.Dim(1));
        AddBias.Run(sequences, positions);
        bool records = tape.Records && (x.Node is not null || table.Trains);
        return new Variable(y, records ? tape.Record(new PositionNode(x.Node, table, rows, first)) : null);
    }

    /// <summary>Adds the gradient of the positions' embeddings, summed over the sequences, and passes dy on.</summary>
    protected override void Backward(Tensor gradient)
    {
        if (_table.Gradient is { } total)
        {
            using Tensor sequences = Sequences(gradient, _rows);
            using Tensor positions = Positions(total, _first, sequences.Dim(1));
            BiasGradient.Run(sequences, positions, accumulate: true);
        }
        _input?.Accumulate(gradient.Share(), shared: true);
    }

    private static Tensor Sequences(Tensor values, int rows) => values.View((rows, (int)(values.Count / rows)));

    private static Tensor Positions(Tensor table, int first, int count)
    {
        using Tensor rows = table.Rows(first, count / table.Dim(1));
        return rows.View(count);
    }
}
