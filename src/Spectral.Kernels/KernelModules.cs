using System.Diagnostics.CodeAnalysis;
using Spectral.Kernels.Driver;

namespace Spectral.Kernels;

/// <summary>
/// Loads the modules and kernels of a device: machine code or PTX per .cu file, or one image with all kernels if the
/// CPU device runs kernels compiled from source.
/// </summary>
internal sealed class KernelModules(Device device) : IDisposable
{
    private readonly Dictionary<string, KernelModule> _modules = [];
    private object?[] _described = [];

    /// <summary>Finds one kernel of a descriptor. After the first time this costs one array access.</summary>
    public Kernel<TArgs> Kernel<[DynamicallyAccessedMembers(ArgumentFields.Needed)] TArgs>(
        KernelEntry<TArgs> entry,
        int choice
    )
        where TArgs : unmanaged
    {
        string name = entry.NameOf(choice);
        int slot = entry.Slot + choice;
        if (slot < _described.Length && _described[slot] is { } found)
            return (Kernel<TArgs>)found;
        if (slot >= _described.Length)
            Array.Resize(ref _described, Math.Max(slot + 1, 2 * _described.Length));
        Kernel<TArgs> kernel = Module(entry.Module).GetKernel<TArgs>(name);
        _described[slot] = kernel;
        return kernel;
    }

    /// <summary>Finds the module that holds the kernels of a .cu file.</summary>
    public KernelModule Module(string name)
    {
        if (KernelLibrary.IsForHopper(name) && device.ComputeCapability != (9, 0))
        {
            (int major, int minor) = device.ComputeCapability;
            throw new PlatformNotSupportedException(
                $"the kernels of {name} need compute capability 9.0, {device.Name} has {major}.{minor}"
            );
        }
        bool usesImage = device.CpuKernels == CpuKernels.Source;
        string image = usesImage ? KernelLibrary.CpuImage : name;
        if (!_modules.TryGetValue(image, out KernelModule? module))
            _modules[image] = module = usesImage ? LoadCpuImage() : LoadPtx(name);
        return module;
    }

    private KernelModule LoadCpuImage() =>
        KernelModule.LoadFile(
            device,
            NativeLibraries.FindFile(KernelLibrary.CpuImage)
                ?? throw new DllNotFoundException(
                    $"the CPU device's kernels, {KernelLibrary.CpuImage}, are in none of: "
                        + $"{string.Join(", ", NativeLibraries.SearchFolders())}"
                )
        );

    private KernelModule LoadPtx(string name)
    {
        string arch = TargetOf(name);
        string? replaced = ReplacedPtx.Find(arch, name);
        byte[]? cubin =
            replaced is null && device.Kind == DeviceKind.Cuda
                ? KernelLibrary.Cubin(device.ComputeCapability, name)
                : null;
        return Load(device, cubin, () => replaced ?? KernelLibrary.Ptx(arch, name), $"the {arch} PTX of {name}");
    }

    /// <summary>
    /// Loads machine code, which takes no time, or else PTX, which the driver compiles: seconds on some GPUs. A driver
    /// refuses machine code for another GPU, or in a form newer than itself.
    /// </summary>
    internal static KernelModule Load(Device device, byte[]? cubin, Func<string> ptx, string what)
    {
        try
        {
            if (cubin is not null)
                return KernelModule.Load(device, cubin);
        }
        catch (CudaException e) when (e.Code is DriverApi.InvalidImage or DriverApi.NoBinaryForGpu) { }

        return KernelModule.Load(device, ptx(), what);
    }

    // The CPU device runs the PTX of every target, so a module that is for Hopper alone runs beside those of sm_80.
    private string TargetOf(string module)
    {
        string target = device.PtxTarget!;
        return device.CpuKernels == CpuKernels.Ptx ? KernelLibrary.NearestTarget(target, module) : target;
    }

    public void Dispose()
    {
        foreach (KernelModule module in _modules.Values)
            module.Dispose();
        _modules.Clear();
        _described = [];
    }
}
