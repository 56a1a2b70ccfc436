using Spectral.Kernels.Ops;

namespace Spectral.Training.Tests.Support;

/// <summary>Forces a variant of attention until it is disposed.</summary>
internal sealed class ForcedAttention : IDisposable
{
    private readonly AttentionVariant? _before = Attention.Variant;

    public ForcedAttention(AttentionVariant variant) => Attention.Variant = variant;

    public void Dispose() => Attention.Variant = _before;
}
