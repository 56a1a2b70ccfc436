using Spectral.Kernels;

namespace Spectral.Cli.Runs;

/// <summary>A run that is about to train, new or resumed.</summary>
/// <param name="Identity">The options and files of the run.</param>
/// <param name="Saved">The checkpoint to resume from; null for a new run.</param>
/// <param name="Device">The device that trains.</param>
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
