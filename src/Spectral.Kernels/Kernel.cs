using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Spectral.Kernels.Driver;

namespace Spectral.Kernels;

/// <summary>
/// Launches one loaded kernel with arguments whose layout is known only at run time; <see cref="Kernel{TArgs}"/> takes
/// them as a struct. What a launch must keep to is read from the driver once, when the kernel is found.
/// </summary>
public sealed unsafe class Kernel
{
    private const int MaxThreadsAttribute = 0;
    private const int StaticSharedAttribute = 1;
    private const int MaxDynamicSharedAttribute = 8;
    private const int UsualShared = 48 << 10; // of a block, static and dynamic, that no driver has to be asked for

    private readonly Device _device;
    private readonly CudaModuleHandle _module;
    private readonly nint _function;
    private readonly int[] _offsets;
    private readonly int _maxThreads;
    private readonly Lock _sharedLock = new();
    private volatile int _sharedBytes;

    internal Kernel(Device device, CudaModuleHandle module, string entry, nint function)
    {
        _device = device;
        _module = module;
        _function = function;
        Name = entry;
        DriverApi api = device.Activate();
        _maxThreads = Attribute(api, MaxThreadsAttribute);
        _sharedBytes = DynamicBytes(Attribute(api, MaxDynamicSharedAttribute), Attribute(api, StaticSharedAttribute));
        Parameters = ReadParameters(api, function);
        _offsets = Parameters is null ? [0] : [.. Parameters.Select(parameter => parameter.Offset)];
        ArgumentBytes = Parameters is null ? null : Parameters.Select(p => p.Offset + p.Bytes).LastOrDefault();
    }

    /// <summary>Name of the kernel's entry point.</summary>
    public string Name { get; }

    /// <summary>
    /// Parameters of the kernel, in order; null if the driver is older than 12.4, which cannot tell. Such a driver
    /// launches only kernels with one parameter, whose size nobody checks.
    /// </summary>
    public IReadOnlyList<KernelParameter>? Parameters { get; }

    /// <summary>
    /// Number of bytes from the first parameter to the end of the last; null if <see cref="Parameters"/> is.
    /// </summary>
    public int? ArgumentBytes { get; }

    /// <inheritdoc cref="DriverApi.ParameterTypes"/>
    internal IReadOnlyList<string>? ParameterTypes => _device.Activate().ParameterTypes(_function);

    /// <summary>Queues a launch on the device's current stream.</summary>
    /// <param name="arguments">Values of the parameters, each at its offset in <see cref="Parameters"/>.</param>
    /// <param name="grid">Number of blocks in each dimension.</param>
    /// <param name="block">Number of threads per block in each dimension.</param>
    /// <param name="sharedBytes">Dynamic shared memory per block, in bytes.</param>
    /// <exception cref="ArgumentException">The arguments' size or the threads do not fit the kernel.</exception>
    /// <exception cref="CudaException">The driver refused the launch, or an earlier one failed.</exception>
    /// <exception cref="ObjectDisposedException">The module or the device was disposed.</exception>
    public void Launch(ReadOnlySpan<byte> arguments, Grid grid, Block block, int sharedBytes = 0)
    {
        if (ArgumentBytes is { } bytes && arguments.Length != bytes)
        {
            throw new ArgumentException(
                $"kernel {Name} takes {bytes} bytes of arguments, found {arguments.Length}",
                nameof(arguments)
            );
        }

        fixed (byte* pointer = arguments)
            Launch(pointer, grid, block, sharedBytes);
    }

    /// <summary>Queues a launch; allocates nothing. The caller has checked the size of the arguments.</summary>
    internal void Launch(void* arguments, Grid grid, Block block, int sharedBytes)
    {
        if (block.Threads > _maxThreads)
            RefuseThreads(block);
        DriverApi api = _device.Activate();
        _ = _module.Value; // throws if it was disposed: the driver would follow a dead handle
        if (sharedBytes > _sharedBytes)
            AllowShared(api, grid, block, sharedBytes);
        void** pointers = stackalloc void*[_offsets.Length];
        for (int i = 0; i < _offsets.Length; i++)
            pointers[i] = (byte*)arguments + _offsets[i];
        int status = api.LaunchKernel(
            _function,
            (uint)grid.X,
            (uint)grid.Y,
            (uint)grid.Z,
            (uint)block.X,
            (uint)block.Y,
            (uint)block.Z,
            (uint)sharedBytes,
            _device.Stream.Handle,
            pointers,
            null
        );
        if (status != 0)
            api.Fail(status, Name, $"cuLaunchKernel({Shape(grid, block, sharedBytes)})");
    }

    /// <summary>
    /// Returns how many bytes of dynamic shared memory need no opt-in: what the kernel is allowed, as long as its
    /// static bytes fit beside it into the 48 KiB of a block that every kernel may have.
    /// </summary>
    internal static int DynamicBytes(int allowed, int fixedBytes) => Math.Min(allowed, UsualShared - fixedBytes);

    // The limit only ever grows, so that a launch from another thread stays allowed.
    private void AllowShared(DriverApi api, Grid grid, Block block, int sharedBytes)
    {
        lock (_sharedLock)
        {
            if (sharedBytes <= _sharedBytes)
                return;
            int status = api.FuncSetAttribute(_function, MaxDynamicSharedAttribute, sharedBytes);
            if (status != 0)
                api.Fail(status, Name, $"cuFuncSetAttribute({Shape(grid, block, sharedBytes)})");
            _sharedBytes = sharedBytes;
        }
    }

    private int Attribute(DriverApi api, int attribute)
    {
        int value;
        api.Check(api.FuncGetAttribute(&value, attribute, _function), Name);
        return value;
    }

    private static List<KernelParameter>? ReadParameters(DriverApi api, nint function)
    {
        if (api.FuncGetParamInfo == null)
            return null;
        List<KernelParameter> parameters = [];
        nuint offset;
        nuint size;
        while (api.FuncGetParamInfo(function, (nuint)parameters.Count, &offset, &size) == 0)
            parameters.Add(new KernelParameter((int)offset, (int)size));
        return parameters;
    }

    private static string Shape(Grid grid, Block block, int sharedBytes)
    {
        string threads = block.Threads == block.X ? Number(block.X) : block.ToString();
        string shared = sharedBytes > 0 ? $", {Number(sharedBytes)} bytes of shared memory" : "";
        return $"grid {grid}, {threads} threads{shared}";
        static string Number(int value) => value.ToString("N0", CultureInfo.InvariantCulture);
    }

    [DoesNotReturn]
    private void RefuseThreads(Block block) =>
        throw new ArgumentException(
            $"kernel {Name} takes at most {_maxThreads} threads per block, found {block.Threads}",
            nameof(block)
        );
}

/// <summary>Launches one loaded kernel whose arguments are a struct.</summary>
/// <typeparam name="TArgs">
/// The argument struct: the kernel's only parameter, or a field for each of its parameters, in order.
/// </typeparam>
public sealed unsafe class Kernel<[DynamicallyAccessedMembers(ArgumentFields.Needed)] TArgs>
    where TArgs : unmanaged
{
    private readonly Kernel _kernel;

    /// <exception cref="ArgumentException">The struct does not fit the kernel's parameters.</exception>
    internal Kernel(Kernel kernel)
    {
        ArgumentFields.Check<TArgs>(kernel);
        _kernel = kernel;
    }

    /// <summary>Name of the kernel's entry point.</summary>
    public string Name => _kernel.Name;

    /// <summary>Queues a launch on the device's current stream; allocates nothing.</summary>
    /// <param name="args">The kernel's arguments.</param>
    /// <param name="grid">Number of blocks in each dimension.</param>
    /// <param name="block">Number of threads per block in each dimension.</param>
    /// <param name="sharedBytes">Dynamic shared memory per block, in bytes.</param>
    /// <exception cref="ArgumentException">The threads do not fit the kernel.</exception>
    /// <exception cref="CudaException">The driver refused the launch, or an earlier one failed.</exception>
    /// <exception cref="ObjectDisposedException">The module or the device was disposed.</exception>
    public void Launch(in TArgs args, Grid grid, Block block, int sharedBytes = 0)
    {
        fixed (TArgs* pointer = &args)
            _kernel.Launch(pointer, grid, block, sharedBytes);
    }
}
