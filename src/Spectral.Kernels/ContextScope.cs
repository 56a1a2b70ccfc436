using Spectral.Kernels.Driver;

namespace Spectral.Kernels;

/// <summary>
/// Restores, when disposed, the context that was current on the thread before <see cref="Device.Enter"/>.
/// </summary>
public readonly unsafe ref struct ContextScope
{
    private readonly DriverApi _api;
    private readonly nint _previous;

    internal ContextScope(DriverApi api, nint previous) => (_api, _previous) = (api, previous);

    /// <summary>Makes the previous context current again, unless it was destroyed in the meantime.</summary>
    public void Dispose() => _api.CtxSetCurrent(_previous); // status ignored: there is no other context to restore
}
