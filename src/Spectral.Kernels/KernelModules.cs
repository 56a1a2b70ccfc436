using Spectral.Kernels.Driver;

namespace Spectral.Kernels;

/// <summary>
/// Loads the modules and kernels of a device: one PTX per .cu file, or one image with all kernels if the CPU device
/// runs kernels compiled from source.
/// </summary>
internal sealed unsafe class KernelModules(Device device) : IDisposable
{
    private readonly Dictionary<(string Module, string Entry), Kernel> _kernels = [];
    private readonly Dictionary<string, CudaModuleHandle> _modules = [];
    private Kernel?[] _described = [];

    /// <summary>Finds one kernel of a descriptor. After the first time this costs one array access.</summary>
    public Kernel Kernel(KernelEntry entry, int choice)
    {
        string name = entry.NameOf(choice);
        int slot = entry.Slot + choice;
        if (slot < _described.Length && _described[slot] is { } found)
            return found;
        if (slot >= _described.Length)
            Array.Resize(ref _described, Math.Max(slot + 1, 2 * _described.Length));
        return _described[slot] = Kernel(entry.Module, name);
    }

    public Kernel Kernel(string module, string entry) =>
        _kernels.TryGetValue((module, entry), out Kernel? kernel) ? kernel : Load(module, entry);

    private Kernel Load(string module, string entry)
    {
        DriverApi api = device.Activate();
        bool usesImage = device.CpuKernels == CpuKernels.Source;
        string image = usesImage ? KernelLibrary.CpuImage : module;
        if (!_modules.TryGetValue(image, out CudaModuleHandle? handle))
            _modules[image] = handle = usesImage ? LoadCpuImage(api) : LoadPtx(api, module);
        nint function;
        fixed (byte* name = System.Text.Encoding.UTF8.GetBytes(entry + "\0"))
            api.Check(api.ModuleGetFunction(&function, handle.Value, name), $"finding kernel {entry} in {image}");
        return _kernels[(module, entry)] = new Kernel(device, entry, function);
    }

    private CudaModuleHandle LoadCpuImage(DriverApi api)
    {
        string path =
            NativeLibraries.FindFile(KernelLibrary.CpuImage)
            ?? throw new DllNotFoundException(
                $"the CPU device's kernels, {KernelLibrary.CpuImage}, are in none of: "
                    + $"{string.Join(", ", NativeLibraries.SearchFolders())}"
            );
        nint module;
        fixed (byte* file = System.Text.Encoding.UTF8.GetBytes(path + "\0"))
            api.Check(api.ModuleLoad(&module, file), $"loading {path}");
        return new CudaModuleHandle(api, device.Context, module);
    }

    private CudaModuleHandle LoadPtx(DriverApi api, string name)
    {
        string arch = TargetOf(name);
        nint module;
        string ptx = ReplacedPtx.Find(arch, name) ?? KernelLibrary.Ptx(arch, name);
        fixed (byte* text = System.Text.Encoding.UTF8.GetBytes(ptx + "\0"))
        {
            api.Check(
                api.ModuleLoadData(&module, text),
                $"loading the {arch} PTX of {name} (driver {device.DriverVersion.Major}.{device.DriverVersion.Minor})"
            );
        }

        return new CudaModuleHandle(api, device.Context, module);
    }

    // The CPU device runs the PTX of every target, so a module that is for Hopper alone runs beside those of sm_80.
    private string TargetOf(string module)
    {
        string target = device.PtxTarget!;
        return device.CpuKernels == CpuKernels.Ptx ? KernelLibrary.NearestTarget(target, module) : target;
    }

    public void Dispose()
    {
        foreach (CudaModuleHandle module in _modules.Values)
            module.Dispose();
        _modules.Clear();
        _kernels.Clear();
        _described = [];
    }
}
