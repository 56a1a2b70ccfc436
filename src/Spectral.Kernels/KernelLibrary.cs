using System.Reflection;
using Spectral.Kernels.Driver;

namespace Spectral.Kernels;

/// <summary>Names the kernels that a C# argument struct belongs to; entries are <c>extern "C"</c> names in <c>native/kernels/module.cu</c>.</summary>
[AttributeUsage(AttributeTargets.Struct)]
public sealed class KernelArgsAttribute(string module, params string[] entries) : Attribute
{
    /// <summary>The .cu file's name without its ending, also the name of its PTX.</summary>
    public string Module { get; } = module;

    /// <summary>Entry points that take the struct, by value, as their only argument.</summary>
    public IReadOnlyList<string> Entries { get; } = entries;
}

/// <summary>The compiled kernels inside this assembly, for our own devices and for any other CUDA loader.</summary>
public static class KernelLibrary
{
    internal const string CpuImage = "libspectral_kernels.so";

    /// <summary>Targets for which PTX is embedded, e.g. <c>sm_80</c>; none when the build had no nvcc.</summary>
    public static IReadOnlyList<string> Architectures { get; } =
        Resources().Select(resource => resource.Arch).Distinct().Order(StringComparer.Ordinal).ToArray();

    /// <summary>The PTX text of every kernel module for one target, by module name.</summary>
    /// <exception cref="ArgumentException">No PTX for <paramref name="arch"/> is embedded.</exception>
    public static IReadOnlyDictionary<string, string> Ptx(string arch) =>
        Architectures.Contains(arch)
            ? Resources()
                .Where(resource => resource.Arch == arch)
                .ToDictionary(resource => resource.Module, resource => Ptx(arch, resource.Module))
            : throw new ArgumentException(
                $"no PTX for {arch} in this build; it has: {(Architectures.Count > 0 ? string.Join(", ", Architectures) : "none")}",
                nameof(arch)
            );

    /// <summary>The PTX text of one kernel module for one target.</summary>
    /// <exception cref="ArgumentException">It is not embedded.</exception>
    public static string Ptx(string arch, string module)
    {
        using Stream? stream = Assembly.GetExecutingAssembly().GetManifestResourceStream($"ptx/{arch}/{module}");
        if (stream is null)
        {
            throw new ArgumentException(
                $"no PTX of module {module} for {arch} in this build (built without nvcc?)",
                nameof(module)
            );
        }

        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }

    /// <summary>The target whose PTX a GPU of this compute capability loads: sm_90a exactly on 9.0, else sm_80 upwards.</summary>
    /// <exception cref="PlatformNotSupportedException">The GPU is older than compute capability 8.0.</exception>
    public static string ArchitectureFor((int Major, int Minor) capability) =>
        capability switch
        {
            (9, 0) when Architectures.Contains("sm_90a") => "sm_90a",
            (>= 8, _) => "sm_80",
            _ => throw new PlatformNotSupportedException(
                $"compute capability {capability.Major}.{capability.Minor}: the kernels need 8.0 or newer"
            ),
        };

    private static IEnumerable<(string Arch, string Module)> Resources() =>
        Assembly
            .GetExecutingAssembly()
            .GetManifestResourceNames()
            .Where(name => name.StartsWith("ptx/", StringComparison.Ordinal))
            .Select(name => name.Split('/'))
            .Select(parts => (parts[1], parts[2]));
}

/// <summary>A loaded kernel.</summary>
public sealed unsafe class Kernel
{
    private const int MaxDynamicSharedAttribute = 8;
    private const int DefaultSharedBytes = 48 << 10;

    private readonly Device _device;
    private readonly nint _function;
    private int _sharedBytes = DefaultSharedBytes;

    internal Kernel(Device device, string entry, nint function)
    {
        _device = device;
        _function = function;
        Name = entry;
    }

    /// <summary>The entry's name.</summary>
    public string Name { get; }

    /// <summary>Queues a launch on the device's current stream; allocates nothing.</summary>
    /// <param name="args">The kernel's one argument.</param>
    /// <param name="grid">Blocks.</param>
    /// <param name="threads">Threads per block.</param>
    /// <param name="sharedBytes">Dynamic shared memory per block.</param>
    /// <exception cref="CudaException">The driver refused the launch, or an earlier one failed.</exception>
    public void Launch<TArgs>(in TArgs args, int grid, int threads, int sharedBytes = 0)
        where TArgs : unmanaged => Launch(args, grid, 1, 1, threads, sharedBytes);

    /// <summary>Queues a launch with a grid of up to three dimensions.</summary>
    /// <inheritdoc cref="Launch{TArgs}(in TArgs, int, int, int)"/>
    public void Launch<TArgs>(in TArgs args, int gridX, int gridY, int gridZ, int threads, int sharedBytes = 0)
        where TArgs : unmanaged
    {
        DriverApi api = _device.Activate();
        if (sharedBytes > _sharedBytes)
        {
            api.Check(api.FuncSetAttribute(_function, MaxDynamicSharedAttribute, sharedBytes), Name);
            _sharedBytes = sharedBytes;
        }
        fixed (TArgs* pointer = &args)
        {
            void* parameter = pointer;
            api.Check(
                api.LaunchKernel(
                    _function,
                    (uint)gridX,
                    (uint)gridY,
                    (uint)gridZ,
                    (uint)threads,
                    1,
                    1,
                    (uint)sharedBytes,
                    _device.Stream.Handle,
                    &parameter,
                    null
                ),
                Name
            );
        }
    }
}

/// <summary>The modules a device has loaded: one PTX per .cu file on a GPU, one image with all kernels on the CPU device.</summary>
internal sealed unsafe class KernelModules(Device device) : IDisposable
{
    private readonly Dictionary<(string Module, string Entry), Kernel> _kernels = [];
    private readonly Dictionary<string, CudaModuleHandle> _modules = [];

    public Kernel Kernel(string module, string entry) =>
        _kernels.TryGetValue((module, entry), out Kernel? kernel) ? kernel : Load(module, entry);

    private Kernel Load(string module, string entry)
    {
        DriverApi api = device.Activate();
        string image = api.IsCpu ? KernelLibrary.CpuImage : module;
        if (!_modules.TryGetValue(image, out CudaModuleHandle? handle))
            _modules[image] = handle = api.IsCpu ? LoadCpuImage(api) : LoadPtx(api, module);
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
                $"the CPU device's kernels, {KernelLibrary.CpuImage}, are in none of: {string.Join(", ", NativeLibraries.SearchFolders())}"
            );
        nint module;
        fixed (byte* file = System.Text.Encoding.UTF8.GetBytes(path + "\0"))
            api.Check(api.ModuleLoad(&module, file), $"loading {path}");
        return new CudaModuleHandle(api, device.Context, module);
    }

    private CudaModuleHandle LoadPtx(DriverApi api, string name)
    {
        string arch = KernelLibrary.ArchitectureFor(device.ComputeCapability);
        nint module;
        fixed (byte* text = System.Text.Encoding.UTF8.GetBytes(KernelLibrary.Ptx(arch, name) + "\0"))
        {
            api.Check(
                api.ModuleLoadData(&module, text),
                $"loading the {arch} PTX of {name} (driver {device.DriverVersion.Major}.{device.DriverVersion.Minor})"
            );
        }

        return new CudaModuleHandle(api, device.Context, module);
    }

    public void Dispose()
    {
        foreach (CudaModuleHandle module in _modules.Values)
            module.Dispose();
        _modules.Clear();
        _kernels.Clear();
    }
}
