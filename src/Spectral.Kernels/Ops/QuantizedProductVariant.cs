using Spectral.Kernels.Ops.Dispatch;

namespace Spectral.Kernels.Ops;

/// <summary>
/// Computes a <see cref="QuantizedProduct"/> in one of several ways. Rows and columns are at least 1.
/// </summary>
internal abstract class QuantizedProductVariant : IVariant<QuantizedVariant, QuantizedCase>
{
    public abstract QuantizedVariant Kind { get; }

    public abstract string Name { get; }

    public virtual string? Refuses(in QuantizedCase call) => null;

    public abstract void Run(in QuantizedProduct product);
}
