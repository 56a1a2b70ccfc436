using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Tests.Support;

/// <summary>Forces a variant of attention on a device until it is disposed.</summary>
internal sealed class ForcedAttention : IDisposable
{
    private readonly Device _device;
    private readonly AttentionVariant? _before;

    public ForcedAttention(Device device, AttentionVariant variant)
    {
        (_device, _before) = (device, Attention.Forced(device));
        Attention.Force(device, variant);
    }

    public void Dispose() => Attention.Force(_device, _before);
}
