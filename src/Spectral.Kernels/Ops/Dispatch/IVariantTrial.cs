namespace Spectral.Kernels.Ops.Dispatch;

/// <summary>
/// Runs one call by one variant after another, to time them. What the call needs is made once and not timed.
/// </summary>
internal interface IVariantTrial<TVariant> : IDisposable
{
    /// <summary>Runs the call by a variant.</summary>
    void Run(TVariant variant);
}
