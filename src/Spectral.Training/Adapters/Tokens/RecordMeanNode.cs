using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Autograd;

namespace Spectral.Training.Adapters.Tokens;

/// <summary>
/// The mean of values over some tokens of a record, at each of its tokens: U M v, with M [records, N] that takes means
/// and U [N, records] that gives each token the mean of its record. All values are F32.
/// </summary>
internal sealed class RecordMeanNode : Node
{
    private readonly Node _values;
    private readonly Tensor _means;
    private readonly Tensor _spread;

    private RecordMeanNode(Node values, Tensor means, Tensor spread)
    {
        _values = values;
        _means = Save(means);
        _spread = Save(spread);
    }

    /// <summary>Takes the means.</summary>
    /// <param name="tape">The tape to record on.</param>
    /// <param name="values">The values v [N, E].</param>
    /// <param name="means">M [records, N].</param>
    /// <param name="spread">U [N, records].</param>
    public static Variable Apply(Tape tape, Variable values, Tensor means, Tensor spread)
    {
        var result = Tensor.Empty(tape.Device, values.Value.Shape);
        using var ofRecords = Tensor.Empty(tape.Device, (means.Dim(0), values.Value.Dim(1)));
        Gemm.Run(means, values.Value, ofRecords);
        Gemm.Run(spread, ofRecords, result);
        bool records = tape.Records && values.Node is not null;
        return new Variable(result, records ? tape.Record(new RecordMeanNode(values.Node!, means, spread)) : null);
    }

    /// <summary>Gives each token that counts in a mean its part of the gradients of the record's tokens.</summary>
    protected override void Backward(Tensor gradient)
    {
        var dValues = Tensor.Empty(gradient.Device, gradient.Shape);
        using var ofRecords = Tensor.Empty(gradient.Device, (_means.Dim(0), gradient.Dim(1)));
        Gemm.Run(Gemm.Transposed(_spread), gradient, ofRecords);
        Gemm.Run(Gemm.Transposed(_means), ofRecords, dValues);
        Deposit(_values, dValues);
    }
}
