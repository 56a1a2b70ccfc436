using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using Spectral.Kernels.Driver;

namespace Spectral.Kernels;

/// <summary>
/// Opens a CUDA device, or the CPU device, with its context, memory pool, kernels and current stream. Not thread safe:
/// only one thread at a time may use a device and its tensors. Disposing a device frees cached memory. Its tensors keep
/// their memory until they are disposed themselves, but any use of the device then throws
/// <see cref="ObjectDisposedException"/>.
/// </summary>
/// <remarks>
/// Any use of a device leaves its context current on the calling thread. A caller with a context of its own gets it
/// back from the scope of <see cref="Enter"/>.
/// </remarks>
/// <example>
/// <code>
/// using Device device = Device.Best();
/// using Tensor x = Tensor.From(device, [1f, 2, 3, 4], (2, 2));
/// using Tensor y = Tensor.Empty(device, (2, 2));
/// Gemm.Run(x, Gemm.Transposed(x), y);
/// float[] values = y.ToArray(); // 5, 11, 11, 25
/// </code>
/// </example>
public sealed unsafe class Device : IDisposable
{
    /// <summary>
    /// Environment variable that, set to 1, gives every tensor a driver allocation of its own, so that sanitizers and
    /// guard zones see each one.
    /// </summary>
    public const string CheckVariable = "SPECTRAL_CHECK";

    private const int AttributeMultiprocessors = 16;
    private const int AttributeL2CacheSize = 38;
    private const int AttributeMajor = 75;
    private const int AttributeMinor = 76;
    private const int AttributeSharedPerBlock = 97;

    private readonly KernelModules _modules;
    private readonly MemoryPool _pool;
    private readonly Dictionary<object, object> _states = new(ReferenceEqualityComparer.Instance);
    private readonly Lazy<Blas> _blas;
    private readonly Lazy<Solver> _solver;
    private readonly DeviceStream _defaultStream;
    private readonly CpuKernelChoice? _cpu;
    private bool _disposed;

    // The CPU device has a choice of kernels, a GPU has none.
    private Device(DriverApi api, ContextHandle context, int ordinal, CpuKernelChoice? cpu)
    {
        Api = api;
        Context = context;
        Ordinal = ordinal;
        Kind = api.IsCpu ? DeviceKind.Cpu : DeviceKind.Cuda;
        byte* name = stackalloc byte[256];
        api.Check(api.DeviceGetName(name, 256, ordinal), "reading the device's name");
        Name = Marshal.PtrToStringUTF8((nint)name)!;
        MultiprocessorCount = Attribute(AttributeMultiprocessors);
        ComputeCapability = (Attribute(AttributeMajor), Attribute(AttributeMinor));
        _cpu = cpu;
        CpuKernels = cpu?.Kernels;
        CpuProfile = api.IsCpu ? (CpuProfile)api.CpuOption("profile") : null;
        if (CpuKernels == Kernels.CpuKernels.Ptx)
            Name += $", PTX of {PtxTarget}";
        nuint total;
        api.Check(api.DeviceTotalMem(&total, ordinal), "reading the device's memory size");
        TotalMemory = (long)total;
        SharedBytesPerBlock = Attribute(AttributeSharedPerBlock);
        L2CacheBytes = Attribute(AttributeL2CacheSize);
        _pool = new MemoryPool(api, context, Name, bypass: Environment.GetEnvironmentVariable(CheckVariable) == "1");
        _modules = new KernelModules(this);
        _defaultStream = DeviceStream.FromHandle(this, 0);
        Stream = _defaultStream;
        Tuner = new Tuner(this);
        _blas = new Lazy<Blas>(() => new Blas(this));
        _solver = new Lazy<Solver>(() => new Solver(this));
    }

    internal DriverApi Api { get; }
    internal bool IsDisposed => _disposed;
    internal ContextHandle Context { get; }

    /// <summary>Number of this device as the driver counts them, from 0.</summary>
    public int Ordinal { get; }

    /// <summary>Whether this device computes nothing and only counts memory (<see cref="Rehearse"/>).</summary>
    public bool IsRehearsal => Api.IsRehearsed;

    /// <summary>Driver behind this device: CUDA or the CPU device.</summary>
    public DeviceKind Kind { get; }

    /// <summary>
    /// Name of the device as its driver gives it, with the GPU that the CPU device stands for; followed by the target
    /// of the PTX if the CPU device runs PTX.
    /// </summary>
    public string Name { get; }

    /// <summary>
    /// Number of streaming multiprocessors of a GPU, or of the one that the CPU device stands for; else of its cores.
    /// </summary>
    public int MultiprocessorCount { get; }

    /// <summary>Compute capability of the device, e.g. (9, 0) for Hopper.</summary>
    public (int Major, int Minor) ComputeCapability { get; }

    /// <summary>Form of the kernels that the CPU device runs; null on a GPU.</summary>
    public CpuKernels? CpuKernels { get; }

    /// <summary>GPU that the CPU device stands for; null on a GPU.</summary>
    public CpuProfile? CpuProfile { get; }

    /// <summary>
    /// Target whose PTX the device loads, e.g. <c>sm_90a</c>; null if it runs kernels compiled from source.
    /// </summary>
    /// <exception cref="PlatformNotSupportedException">A GPU is older than compute capability 8.0.</exception>
    public string? PtxTarget =>
        CpuKernels == Kernels.CpuKernels.Source
            ? null
            : _cpu?.PtxTarget ?? KernelLibrary.ArchitectureFor(ComputeCapability);

    /// <summary>Shared memory that one block may ask for, in bytes.</summary>
    public int SharedBytesPerBlock { get; }

    /// <summary>
    /// Size of the cache that all multiprocessors share, in bytes; a nominal figure on the CPU device.
    /// </summary>
    public int L2CacheBytes { get; }

    /// <summary>Total device memory in bytes.</summary>
    public long TotalMemory { get; }

    /// <summary>Bytes that the memory pool of this device holds now, and held at most.</summary>
    public DeviceMemory Memory => _pool.Memory;

    /// <summary>Stream that ops launch on; <see cref="Use"/> changes it.</summary>
    public DeviceStream Stream { get; private set; }

    /// <summary>
    /// cuBLAS on a GPU, or the same functions of the CPU device; loaded on first use and owned by this object.
    /// </summary>
    public Blas Blas => _blas.Value;

    /// <summary>
    /// cuSOLVER on a GPU, or the same functions of the CPU device; loaded on first use and owned by this object.
    /// </summary>
    public Solver Solver => _solver.Value;

    /// <summary>Measures the variants of ops that have several; off unless enabled.</summary>
    public Tuner Tuner { get; }

    /// <summary>Record of the variants that ops have used on this device so far.</summary>
    public VariantUses Variants { get; } = new();

    /// <summary>Context (CUcontext) for other CUDA code; it stays owned by this object.</summary>
    public nint ContextHandle => Context.Value;

    /// <summary>
    /// Opens GPU number <paramref name="ordinal"/> with its primary context, which all CUDA code of the process shares.
    /// </summary>
    /// <exception cref="DllNotFoundException">There is no CUDA driver.</exception>
    /// <exception cref="ArgumentOutOfRangeException">There is no such device.</exception>
    public static Device Cuda(int ordinal = 0) => Open(DriverApi.Cuda, ordinal, null);

    /// <summary>Opens the CPU device, which runs the same kernels on this machine's cores.</summary>
    /// <exception cref="PlatformNotSupportedException">This is not Linux on x64, or PTX is to run and this build has
    /// none.</exception>
    /// <exception cref="ArgumentException"><see cref="CpuDeviceOptions.PtxTarget"/> is unknown.</exception>
    /// <exception cref="InvalidOperationException">The value of <see cref="CpuDeviceOptions.KernelsVariable"/> or
    /// <see cref="CpuDeviceOptions.PtxTargetVariable"/> is not allowed.</exception>
    public static Device Cpu(CpuDeviceOptions? options = null)
    {
        DriverApi api = DriverApi.Cpu;
        var kernels = CpuKernelChoice.From(options);
        options?.Apply(api);
        return Open(api, 0, kernels);
    }

    /// <summary>
    /// Opens the first GPU that can run the kernels of this build, or else the CPU device. A GPU is skipped if its
    /// compute capability is below 8.0; all are skipped if the build contains no PTX.
    /// </summary>
    /// <exception cref="PlatformNotSupportedException">There is no such GPU, and the CPU device does not run
    /// here.</exception>
    public static Device Best()
    {
        int gpus = KernelLibrary.Architectures.Count > 0 ? CudaCount(out _) : 0;
        for (int i = 0; i < gpus; i++)
        {
            Device device = Cuda(i);
            if (device.ComputeCapability.Major >= 8)
                return device;
            device.Dispose();
        }
        return Cpu();
    }

    /// <summary>
    /// Works in a context that other code made and owns; disposing the result leaves the context alone.
    /// </summary>
    /// <remarks>
    /// This call leaves the calling thread's current context as it is. Any use of the result changes it; see
    /// <see cref="Enter"/>.
    /// </remarks>
    /// <param name="context">A CUcontext of the CUDA driver, or of the CPU device.</param>
    /// <param name="ordinal">The driver's number of the device that the context is on.</param>
    /// <exception cref="ArgumentException"><paramref name="context"/> is 0.</exception>
    /// <exception cref="InvalidOperationException">The context is the CPU device's, and the environment variable for
    /// its kernels has a value that is not allowed (see <see cref="Cpu"/>).</exception>
    /// <exception cref="DllNotFoundException">The context is not the CPU device's, and there is no CUDA
    /// driver.</exception>
    public static Device FromContext(nint context, int ordinal = 0)
    {
        if (context == 0)
            throw new ArgumentException("the context is 0, expected a CUcontext", nameof(context));
        var api = DriverApi.OwnerOf(context);
        CpuKernelChoice? cpu = api.IsCpu ? CpuKernelChoice.From(null) : null;
        return new Device(api, Driver.ContextHandle.Borrow(api, context, ordinal), ordinal, cpu);
    }

    /// <summary>
    /// Opens a rehearsal of this device, on which work takes no memory and computes nothing: allocations are only
    /// counted, launches and copies do nothing, and what is read to the host is all zeros. So
    /// <see cref="DeviceMemory.Peak"/> of the rehearsal is what the same work would need on this device, also where
    /// that is more than it has.
    /// </summary>
    /// <remarks>
    /// All properties and choices of variants are those of this device, which has to stay open meanwhile. Work whose
    /// shapes depend on values that it reads back takes those of zeros.
    /// </remarks>
    /// <exception cref="ObjectDisposedException">The device was disposed.</exception>
    public Device Rehearse()
    {
        ThrowIfDisposed();
        DriverApi api = Api.Rehearsed;
        return new Device(api, Driver.ContextHandle.Borrow(api, Context.Value, Ordinal), Ordinal, _cpu);
    }

    /// <summary>
    /// Makes the context of this device current on the calling thread until the result is disposed, which restores the
    /// previous context.
    /// </summary>
    /// <remarks>
    /// Ops, tensors, streams, events and graphs make the context current themselves and leave it so: to restore it
    /// after every launch would cost two more driver calls. Code with a context of its own wraps all uses of a device
    /// in one scope: <c>using (device.Enter()) { … }</c>. Scopes nest.
    /// </remarks>
    /// <exception cref="ObjectDisposedException">The device was disposed.</exception>
    public ContextScope Enter()
    {
        nint previous;
        Api.Check(Api.CtxGetCurrent(&previous), $"asking for the context that is current beside {Name}");
        return new ContextScope(Activate(), previous);
    }

    /// <summary>
    /// Counts the GPUs. If there are none, <paramref name="reason"/> says why: no driver, no device, or the driver's
    /// own error.
    /// </summary>
    public static int CudaCount(out string? reason)
    {
        reason = null;
        try
        {
            int count;
            DriverApi.Cuda.Check(DriverApi.Cuda.DeviceGetCount(&count), "counting CUDA devices");
            if (count == 0)
                reason = "the CUDA driver finds no device";
            return count;
        }
        catch (Exception e) when (e is DllNotFoundException or EntryPointNotFoundException or CudaException)
        {
            reason = e is DllNotFoundException ? "no CUDA driver on this machine" : e.Message;
            return 0;
        }
    }

    /// <summary>Version of the driver, e.g. (12, 4): the newest CUDA version whose PTX it can load.</summary>
    public (int Major, int Minor) DriverVersion
    {
        get
        {
            int version;
            Api.Check(Api.DriverGetVersion(&version), "reading the driver's version");
            return (version / 1000, version % 1000 / 10);
        }
    }

    /// <summary>
    /// Finds the kernel <paramref name="entry"/> of <c>native/kernels/<paramref name="module"/>.cu</c>, which is loaded
    /// once.
    /// </summary>
    /// <typeparam name="TArgs">The argument struct of the kernel.</typeparam>
    /// <exception cref="ArgumentException">The struct is not the kernel's, or there is no such module.</exception>
    /// <exception cref="CudaException">The module has no such kernel; the message lists those that it has.</exception>
    public Kernel<TArgs> Kernel<[DynamicallyAccessedMembers(ArgumentFields.Needed)] TArgs>(string module, string entry)
        where TArgs : unmanaged => _modules.Module(module).GetKernel<TArgs>(entry);

    /// <summary>
    /// Finds the kernel <paramref name="entry"/> of <c>native/kernels/<paramref name="module"/>.cu</c>, which is loaded
    /// once, to launch it with arguments known only at run time.
    /// </summary>
    /// <exception cref="ArgumentException">There is no such module.</exception>
    /// <exception cref="CudaException">The module has no such kernel; the message lists those that it has.</exception>
    public Kernel Kernel(string module, string entry) => _modules.Module(module).GetKernel(entry);

    internal Kernel<TArgs> Kernel<[DynamicallyAccessedMembers(ArgumentFields.Needed)] TArgs>(
        KernelEntry<TArgs> entry,
        int choice
    )
        where TArgs : unmanaged => _modules.Kernel(entry, choice);

    /// <summary>Makes <paramref name="stream"/> the current stream until the result is disposed.</summary>
    public IDisposable Use(DeviceStream stream)
    {
        var restore = new StreamScope(this, Stream);
        Stream = stream;
        return restore;
    }

    /// <summary>Waits until all work on the current stream is done.</summary>
    /// <exception cref="CudaException">A kernel or copy failed.</exception>
    public void Synchronize() => Stream.Synchronize();

    /// <summary>Frees cached memory and releases the context. A second call does nothing.</summary>
    public void Dispose()
    {
        if (_disposed)
            return;
        if (_blas.IsValueCreated)
            _blas.Value.Dispose();
        if (_solver.IsValueCreated)
            _solver.Value.Dispose();
        _modules.Dispose();
        _pool.Dispose();
        _defaultStream.Dispose();
        _disposed = true; // the context's handle closes only when the last object that holds it is gone
        Context.Dispose();
    }

    /// <summary>Returns the device's ordinal and name; the name alone for the CPU device.</summary>
    public override string ToString() => Kind == DeviceKind.Cpu ? Name : $"cuda:{Ordinal} {Name}";

    /// <summary>
    /// Makes the context current on the calling thread. Every call does so, since other code may have changed it.
    /// </summary>
    /// <exception cref="ObjectDisposedException">The device was disposed.</exception>
    internal DriverApi Activate()
    {
        ThrowIfDisposed();
        Api.Check(Api.CtxSetCurrent(Context.Value), $"making {Name} current");
        return Api;
    }

    /// <summary>Whether work on the current stream is recorded into a <see cref="Graph"/> instead of run.</summary>
    public bool IsCapturing => _pool.IsReserved(Stream);

    internal MemoryBlock Allocate(long bytes)
    {
        ThrowIfDisposed();
        return _pool.Allocate(bytes, Stream);
    }

    /// <inheritdoc cref="MemoryPool.Keep"/>
    internal MemoryHandle Keep(long bytes, out ulong pointer)
    {
        ThrowIfDisposed();
        return _pool.Keep(bytes, Stream, out pointer);
    }

    /// <summary>
    /// Keeps memory that is allocated on the stream from now on with that stream, until <see cref="Release"/>.
    /// </summary>
    internal void Reserve(DeviceStream stream) => _pool.Reserve(stream);

    internal void Trim() => _pool.Trim();

    /// <summary>Frees what the libraries keep for a stream that was destroyed.</summary>
    internal void Forget(nint stream)
    {
        if (_blas.IsValueCreated && !_disposed)
            _blas.Value.Forget(stream);
    }

    internal void Release(DeviceStream stream) => _pool.Release(stream);

    /// <summary>Returns the object that an owner keeps for this device; it is made on first use.</summary>
    /// <param name="owner">The owner, compared by reference.</param>
    /// <param name="make">Makes the object.</param>
    internal TState State<TOwner, TState>(TOwner owner, Func<TOwner, TState> make)
        where TOwner : class
        where TState : class
    {
        if (!_states.TryGetValue(owner, out object? state))
            _states[owner] = state = make(owner);
        return (TState)state;
    }

    private void ThrowIfDisposed()
    {
        if (_disposed)
            throw new ObjectDisposedException(ToString());
    }

    private static Device Open(DriverApi api, int ordinal, CpuKernelChoice? cpu)
    {
        int count;
        api.Check(api.DeviceGetCount(&count), "counting devices");
        if (ordinal < 0 || ordinal >= count)
        {
            throw new ArgumentOutOfRangeException(
                nameof(ordinal),
                ordinal,
                $"there are {count} devices, numbered from 0"
            );
        }

        int device;
        api.Check(api.DeviceGet(&device, ordinal), $"opening device {ordinal}");
        return new Device(api, Driver.ContextHandle.RetainPrimary(api, device), device, cpu);
    }

    private int Attribute(int attribute)
    {
        int value;
        Api.Check(Api.DeviceGetAttribute(&value, attribute, Ordinal), $"reading attribute {attribute} of {Name}");
        return value;
    }

    private sealed class StreamScope(Device device, DeviceStream previous) : IDisposable
    {
        public void Dispose() => device.Stream = previous;
    }
}
