using Spectral.Kernels.Ops;

namespace Spectral.Training.Tests.Support;

/// <summary>Forces a variant of low-rank layers, or none, until it is disposed.</summary>
internal sealed class ForcedLowRank : IDisposable
{
    private readonly LowRankVariant? _before = LowRankLinear.Variant;

    public ForcedLowRank(LowRankVariant? variant) => LowRankLinear.Variant = variant;

    public void Dispose() => LowRankLinear.Variant = _before;
}
