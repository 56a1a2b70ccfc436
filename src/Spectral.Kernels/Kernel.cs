using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Spectral.Kernels.Driver;

namespace Spectral.Kernels;

/// <summary>
/// Launches one loaded kernel. The limits that a launch must keep are read from the driver once, when the kernel is
/// found.
/// </summary>
public sealed unsafe class Kernel
{
    private const int MaxThreadsAttribute = 0;
    private const int MaxDynamicSharedAttribute = 8;
    private const int DefaultSharedBytes = 48 << 10;

    private readonly Device _device;
    private readonly nint _function;
    private readonly int _argumentBytes;
    private readonly int _maxThreads;
    private int _sharedBytes = DefaultSharedBytes;

    internal Kernel(Device device, string entry, nint function)
    {
        _device = device;
        _function = function;
        Name = entry;
        DriverApi api = device.Activate();
        int threads;
        api.Check(api.FuncGetAttribute(&threads, MaxThreadsAttribute, function), entry);
        _maxThreads = threads;
        _argumentBytes = ParameterBytes(api, function);
    }

    /// <summary>Name of the kernel's entry point.</summary>
    public string Name { get; }

    /// <summary>Queues a launch on the device's current stream; allocates nothing.</summary>
    /// <param name="args">The kernel's single argument.</param>
    /// <param name="grid">Number of blocks in each dimension.</param>
    /// <param name="threads">Number of threads per block.</param>
    /// <param name="sharedBytes">Dynamic shared memory per block, in bytes.</param>
    /// <exception cref="ArgumentException">The arguments' size or the threads do not fit the kernel.</exception>
    /// <exception cref="CudaException">The driver refused the launch, or an earlier one failed.</exception>
    public void Launch<TArgs>(in TArgs args, Grid grid, int threads, int sharedBytes = 0)
        where TArgs : unmanaged
    {
        if (sizeof(TArgs) != _argumentBytes && _argumentBytes != 0)
            RefuseArguments(typeof(TArgs).Name, sizeof(TArgs));
        if (threads > _maxThreads)
            RefuseThreads(threads);
        DriverApi api = _device.Activate();
        if (sharedBytes > _sharedBytes)
            AllowShared(api, grid, threads, sharedBytes);
        int status;
        fixed (TArgs* pointer = &args)
        {
            void* parameter = pointer;
            status = api.LaunchKernel(
                _function,
                (uint)grid.X,
                (uint)grid.Y,
                (uint)grid.Z,
                (uint)threads,
                1,
                1,
                (uint)sharedBytes,
                _device.Stream.Handle,
                &parameter,
                null
            );
        }
        if (status != 0)
            api.Fail(status, Name, $"cuLaunchKernel({Shape(grid, threads, sharedBytes)})");
    }

    private void AllowShared(DriverApi api, Grid grid, int threads, int sharedBytes)
    {
        int status = api.FuncSetAttribute(_function, MaxDynamicSharedAttribute, sharedBytes);
        if (status != 0)
            api.Fail(status, Name, $"cuFuncSetAttribute({Shape(grid, threads, sharedBytes)})");
        _sharedBytes = sharedBytes;
    }

    // Returns 0 if the driver is older than 12.4, which cannot tell.
    private static int ParameterBytes(DriverApi api, nint function)
    {
        nuint offset;
        nuint size;
        return api.FuncGetParamInfo != null && api.FuncGetParamInfo(function, 0, &offset, &size) == 0 ? (int)size : 0;
    }

    private static string Shape(Grid grid, int threads, int sharedBytes) =>
        string.Create(CultureInfo.InvariantCulture, $"grid {grid}, {threads:N0} threads")
        + (
            sharedBytes > 0
                ? string.Create(CultureInfo.InvariantCulture, $", {sharedBytes:N0} bytes of shared memory")
                : ""
        );

    [DoesNotReturn]
    private void RefuseArguments(string type, int bytes) =>
        throw new ArgumentException($"kernel {Name} takes {_argumentBytes} bytes of arguments, {type} has {bytes}");

    [DoesNotReturn]
    private void RefuseThreads(int threads) =>
        throw new ArgumentException(
            $"kernel {Name} takes at most {_maxThreads} threads per block, found {threads}",
            nameof(threads)
        );
}
