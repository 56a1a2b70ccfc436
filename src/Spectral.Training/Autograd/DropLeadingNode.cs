using Spectral.Kernels;

namespace Spectral.Training.Autograd;

/// <summary>The sequences x [B·S, F] behind n leading rows each of y [B·(n + S), F].</summary>
internal sealed class DropLeadingNode : Node
{
    private readonly Node _input;
    private readonly int _count;
    private readonly int _batch;

    private DropLeadingNode(Node input, int count, int batch) => (_input, _count, _batch) = (input, count, batch);

    /// <summary>Takes <paramref name="count"/> leading rows off each sequence.</summary>
    /// <param name="tape">The tape to record on.</param>
    /// <param name="all">The rows and sequences, [B·(n + S), F].</param>
    /// <param name="count">The number of leading rows, n.</param>
    /// <param name="batch">The number of sequences, B.</param>
    public static Variable Apply(Tape tape, Variable all, int count, int batch)
    {
        Tensor x = LeadingRows.Remove(all.Value, count, batch);
        bool records = tape.Records && all.Node is not null;
        return new Variable(x, records ? tape.Record(new DropLeadingNode(all.Node!, count, batch)) : null);
    }

    /// <summary>Puts zeros where the leading rows were.</summary>
    protected override void Backward(Tensor gradient) =>
        _input.Accumulate(LeadingRows.Add(null, _count, gradient, _batch));
}
