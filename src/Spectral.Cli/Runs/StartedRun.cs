using Spectral.Kernels;

namespace Spectral.Cli.Runs;

/// <summary>A run that is about to train: what its bits depend on, and where it goes on.</summary>
/// <param name="Identity">Its options and files.</param>
/// <param name="Saved">The checkpoint it goes on from; null to begin.</param>
/// <param name="Device">Where it trains.</param>
/// <param name="Type">The compute type.</param>
internal sealed record StartedRun(RunIdentity Identity, SavedRun? Saved, Device Device, DType Type) : IDisposable
{
    /// <summary>Closes the device and the checkpoint.</summary>
    public void Dispose()
    {
        Device.Dispose();
        Saved?.Dispose();
    }
}
