using Spectral.Kernels;

namespace Spectral.Bench.Counting;

/// <summary>Has the CPU device count launches of PTX until it is disposed.</summary>
internal sealed class Counting : IDisposable
{
    private readonly Device _device;

    /// <param name="device">A CPU device that runs PTX.</param>
    /// <param name="multiprocessors">How many take the blocks, so many of them at once as they hold.</param>
    public Counting(Device device, int multiprocessors)
    {
        _device = device;
        device.Activate().SetCpuOption("count", multiprocessors);
    }

    /// <summary>Waits for the device and returns what was counted so far, a launch each.</summary>
    public IReadOnlyList<CountedLaunch> Launches()
    {
        _device.Synchronize();
        return CountedLaunch.ParseAll(_device.Activate().CountedLaunches());
    }

    public void Dispose() => _device.Api.SetCpuOption("count", 0);
}
