using System.Diagnostics.CodeAnalysis;
using System.Text;
using Spectral.Kernels.Driver;

namespace Spectral.Kernels;

/// <summary>
/// Holds kernels that were loaded from PTX, a cubin or a fatbin: kernels of this library, or of one's own. A GPU loads
/// all three. The CPU device runs PTX, also that in a fatbin, and refuses a cubin, which holds machine code of a GPU.
/// </summary>
/// <remarks>
/// Several threads may load modules and find kernels at the same time; a launch uses the device, which is for one
/// thread at a time. Dispose the module after the work of its kernels is done.
/// </remarks>
/// <example>
/// <code>
/// using var module = KernelModule.Load(device, KernelLibrary.Ptx("sm_80", "elementwise"));
/// Kernel&lt;ScaleArgs&gt; scale = module.GetKernel&lt;ScaleArgs&gt;("scale_f32");
/// var half = new ScaleArgs { X = x.Pointer, Count = x.Count, Factor = 0.5f };
/// scale.Launch(half, grid: 1, block: 256);
/// </code>
/// </example>
public sealed class KernelModule : IDisposable
{
    private const int MostNames = 16; // in an error

    private readonly Dictionary<string, Kernel> _kernels = [];
    private readonly string _name;
    private readonly CudaModuleHandle _handle;

    private KernelModule(Device device, ReadOnlySpan<byte> image, string name)
    {
        Device = device;
        _name = name;
        (int major, int minor) = device.DriverVersion;
        string what = $"{name} (driver {major}.{minor})";
        _handle = CudaModuleHandle.Load(device.Activate(), device.Context, image, what);
    }

    /// <summary>Device that the kernels run on.</summary>
    public Device Device { get; }

    /// <summary>Handle of the module (CUmodule) for other CUDA code; it stays owned by this object.</summary>
    public nint Handle => _handle.Value;

    /// <summary>
    /// Names of the kernels in the module; null if the driver is older than 12.4, which cannot tell.
    /// </summary>
    /// <exception cref="ObjectDisposedException">The module or the device was disposed.</exception>
    public IReadOnlyList<string>? Entries => _handle.Entries(Device.Activate());

    /// <summary>Loads a module from the text of its PTX.</summary>
    /// <param name="device">The device to run on.</param>
    /// <param name="ptx">The text, as <c>nvcc --ptx</c> writes it.</param>
    /// <exception cref="ArgumentException">The text is not PTX, or it has a zero character.</exception>
    /// <exception cref="CudaException">
    /// The driver cannot load the text. The message has line and column on the CPU device, and the log of the driver's
    /// compiler on a GPU.
    /// </exception>
    public static KernelModule Load(Device device, string ptx) => Load(device, Encoding.UTF8.GetBytes(ptx));

    /// <summary>Loads PTX that errors call by a name of its own.</summary>
    internal static KernelModule Load(Device device, string ptx, string name) =>
        new(device, Encoding.UTF8.GetBytes(ptx), name);

    /// <summary>Loads a module from memory.</summary>
    /// <param name="device">The device to run on.</param>
    /// <param name="image">PTX text, a cubin or a fatbin.</param>
    /// <exception cref="ArgumentException">The image is none of these, or it is cut short.</exception>
    /// <exception cref="CudaException">The driver cannot load the image, such as a cubin for another GPU.</exception>
    public static KernelModule Load(Device device, ReadOnlySpan<byte> image) =>
        new(device, image, ModuleImage.Describe(image));

    /// <summary>Loads a module from a file.</summary>
    /// <param name="device">The device to run on.</param>
    /// <param name="path">File with PTX text, a cubin or a fatbin.</param>
    /// <exception cref="IOException">The file cannot be read.</exception>
    /// <exception cref="ArgumentException">The file holds none of these, or it is cut short.</exception>
    /// <exception cref="CudaException">The driver cannot load the file, such as a cubin for another GPU.</exception>
    public static KernelModule LoadFile(Device device, string path)
    {
        byte[] image = File.ReadAllBytes(path);
        try
        {
            return new KernelModule(device, image, $"{path}, {ModuleImage.Describe(image)}");
        }
        catch (ArgumentException e)
        {
            throw new ArgumentException($"{path}: {e.Message}", nameof(path), e);
        }
    }

    /// <summary>Finds a kernel and checks that its parameters are those of the struct.</summary>
    /// <param name="entry">Name of the kernel's entry point, as it stands in the PTX.</param>
    /// <typeparam name="TArgs">
    /// The argument struct: the kernel's only parameter, or a field for each of its parameters, in order.
    /// </typeparam>
    /// <exception cref="ArgumentException">
    /// The struct does not fit the kernel's parameters. Not checked if the driver is older than 12.4.
    /// </exception>
    /// <exception cref="CudaException">The module has no such kernel; the message lists those that it has.</exception>
    /// <exception cref="ObjectDisposedException">The module or the device was disposed.</exception>
    public Kernel<TArgs> GetKernel<[DynamicallyAccessedMembers(ArgumentFields.Needed)] TArgs>(string entry)
        where TArgs : unmanaged => new(GetKernel(entry));

    /// <summary>Finds a kernel whose arguments are known only at run time.</summary>
    /// <param name="entry">Name of the kernel's entry point, as it stands in the PTX.</param>
    /// <exception cref="CudaException">The module has no such kernel; the message lists those that it has.</exception>
    /// <exception cref="ObjectDisposedException">The module or the device was disposed.</exception>
    public Kernel GetKernel(string entry)
    {
        DriverApi api = Device.Activate();
        // One object per kernel: it holds the limit of shared memory that the driver keeps for the kernel.
        lock (_kernels)
        {
            _ = _handle.Value; // throws if it was disposed, also for a kernel that was found before
            if (!_kernels.TryGetValue(entry, out Kernel? kernel))
            {
                nint function = _handle.Function(api, entry, out int status);
                if (status != 0)
                    api.Fail(status, $"finding kernel {entry} in {_name}{Known()}", "cuModuleGetFunction");
                _kernels[entry] = kernel = new Kernel(Device, _handle, entry, function);
            }

            return kernel;
        }
    }

    /// <summary>Finds a <c>__device__</c> or <c>__constant__</c> variable.</summary>
    /// <param name="name">Name of the variable, as it stands in the PTX.</param>
    /// <exception cref="CudaException">The module has no such variable.</exception>
    /// <exception cref="ObjectDisposedException">The module or the device was disposed.</exception>
    public ModuleVariable GetGlobal(string name)
    {
        (ulong pointer, long bytes) = _handle.Global(Device.Activate(), name, _name);
        return new ModuleVariable(pointer, bytes);
    }

    /// <summary>Unloads the module. A second call does nothing.</summary>
    public void Dispose() => _handle.Dispose();

    private string Known() =>
        Entries switch
        {
            null => "",
            [] => ", which has none",
            { } names => $", which has {string.Join(", ", names.Take(MostNames))}"
                + (names.Count > MostNames ? $" and {names.Count - MostNames} more" : ""),
        };
}
