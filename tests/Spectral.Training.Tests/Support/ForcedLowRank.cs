using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Tests.Support;

/// <summary>Forces a variant of low-rank layers on a device, or none, until it is disposed.</summary>
internal sealed class ForcedLowRank : IDisposable
{
    private readonly Device _device;
    private readonly LowRankVariant? _before;

    public ForcedLowRank(Device device, LowRankVariant? variant)
    {
        (_device, _before) = (device, LowRankLinear.Forced(device));
        LowRankLinear.Force(device, variant);
    }

    public void Dispose() => LowRankLinear.Force(_device, _before);
}
