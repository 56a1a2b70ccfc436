using Spectral.Kernels.Ops.Dispatch;

namespace Spectral.Kernels.Ops;

/// <summary>
/// Runs one product of <see cref="LowRankLinear"/> to time its variants. It uses the caller's x, W and factor, a result
/// of its own, since the real one may have to be added to, and a random normal source, since the real one does not
/// exist yet. Zeros would draw less power and so run at higher clocks than the data of a run.
/// </summary>
internal sealed class LowRankTrial : IVariantTrial<LowRankLinearVariant>
{
    private readonly LowRankCase _call;
    private readonly Tensor _x;
    private readonly Tensor _factor;
    private readonly Tensor _y;
    private readonly Tensor _source;
    private readonly FrozenWeight _weight;

    public LowRankTrial(in LowRankCase call, Tensor x, FrozenWeight weight, Tensor factor)
    {
        (_call, _x, _weight, _factor) = (call, x, weight, factor);
        _y = Tensor.Empty(x.Device, (call.Rows, call.Columns), x.DType);
        _source = Tensor.Empty(x.Device, (call.Rows, call.Rank), x.DType);
        using Tensor? drawn = x.DType == DType.F32 ? null : Tensor.Empty(x.Device, _source.Shape);
        Philox.Normal(drawn ?? _source, seed: 1, stream: 0);
        if (drawn is not null)
            Cast.Run(drawn, _source);
    }

    /// <summary>Low-rank source, [Rows, Rank].</summary>
    internal Tensor Source => _source;

    public void Run(LowRankLinearVariant variant) =>
        variant.Run(new LowRankProduct(_call, _x, _weight, _source, 1, _factor, null, _y, Accumulate: false));

    public void Dispose()
    {
        _y.Dispose();
        _source.Dispose();
    }
}
