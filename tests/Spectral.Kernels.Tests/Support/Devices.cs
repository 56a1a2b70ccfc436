namespace Spectral.Kernels.Tests.Support;

/// <summary>
/// The devices every fixture runs on. One device of each kind serves the whole run; a missing GPU is a visible skip.
/// </summary>
public static class Devices
{
    private static readonly Lazy<Device> Cpu = new(() => Device.Cpu());
    private static readonly Lazy<Device> Cuda = new(() => Device.Cuda());

    public static DeviceKind[] All => [DeviceKind.Cpu, DeviceKind.Cuda];

    public static Device Get(DeviceKind kind)
    {
        if (kind == DeviceKind.Cpu)
            return Cpu.Value;
        if (Device.CudaCount(out string? reason) == 0)
            Assert.Ignore($"no GPU: {reason}");
        return Cuda.Value;
    }

    /// <summary>Skips a test of what only kernels compiled from source have, if the CPU device runs PTX.</summary>
    /// <param name="reason">What they have.</param>
    public static void RequireSourceKernels(string reason)
    {
        if (Cpu.Value.CpuKernels == CpuKernels.Ptx)
            Assert.Ignore($"the CPU device runs PTX: {reason}");
    }

    public static void DisposeAll()
    {
        if (Cpu.IsValueCreated)
            Cpu.Value.Dispose();
        if (Cuda.IsValueCreated)
            Cuda.Value.Dispose();
    }
}
