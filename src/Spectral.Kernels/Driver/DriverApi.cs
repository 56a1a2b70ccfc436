using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using System.Text;
using unsafe LaunchKernelFunction = delegate* unmanaged<
    nint,
    uint,
    uint,
    uint,
    uint,
    uint,
    uint,
    uint,
    nint,
    void**,
    void**,
    int>;
using unsafe TensorMapEncodeTiledFunction = delegate* unmanaged<
    void*,
    int,
    uint,
    ulong,
    ulong*,
    ulong*,
    uint*,
    uint*,
    int,
    int,
    int,
    int,
    int>;

namespace Spectral.Kernels.Driver;

/// <summary>
/// Holds the entry points of the CUDA driver under their names in cuda.h without the prefix. One table is filled from
/// the driver and one from the CPU device; code above this table does not tell the two apart.
/// </summary>
internal sealed unsafe class DriverApi
{
    public const string CpuLibraryName = "libspectral_cpu.so";
    public const int OutOfMemory = 2;

    /// <summary>CUDA_ERROR_INVALID_IMAGE: not a module, or one in a form that the driver does not know.</summary>
    public const int InvalidImage = 200;

    /// <summary>CUDA_ERROR_NO_BINARY_FOR_GPU: machine code for another GPU.</summary>
    public const int NoBinaryForGpu = 209;
    public const int NoDevice = 100;

    private static readonly Lazy<DriverApi> LazyCuda = new(() =>
        new DriverApi(
            NativeLibraries.Load("the CUDA driver", OperatingSystem.IsWindows() ? "nvcuda.dll" : "libcuda.so.1"),
            "the CUDA driver",
            isCpu: false
        )
    );
    private static readonly Lazy<DriverApi> LazyCpu = new(() =>
    {
        string? obstacle = CpuObstacle(
            OperatingSystem.IsLinux(),
            RuntimeInformation.ProcessArchitecture,
            HasCpuInstructions
        );
        if (obstacle is not null)
            throw new PlatformNotSupportedException(obstacle);

        return new DriverApi(NativeLibraries.Load("the CPU device", CpuLibraryName), CpuLibraryName, isCpu: true);
    });

    /// <summary>Whether this processor has the instructions that the CPU device is compiled for (x86-64-v3).</summary>
    private static bool HasCpuInstructions =>
        Avx2.IsSupported && Fma.IsSupported && Bmi1.IsSupported && Bmi2.IsSupported && Lzcnt.IsSupported;

    private static readonly Lazy<DriverApi> LazyRehearsedCuda = new(() => new DriverApi(Cuda));
    private static readonly Lazy<DriverApi> LazyRehearsedCpu = new(() => new DriverApi(Cpu));

    public static DriverApi Cuda => LazyCuda.Value;
    public static DriverApi Cpu => LazyCpu.Value;

    /// <summary>
    /// The same driver with the calls of <see cref="RehearsedCalls"/> in place of those that take device memory or
    /// compute.
    /// </summary>
    public DriverApi Rehearsed => IsCpu ? LazyRehearsedCpu.Value : LazyRehearsedCuda.Value;

    /// <summary>
    /// Returns the reason why the CPU device cannot run here, or null if it can. It is asked before any of that
    /// device's code is loaded.
    /// </summary>
    internal static string? CpuObstacle(bool linux, Architecture architecture, bool hasInstructions)
    {
        if (!linux || architecture != Architecture.X64)
        {
            return "the CPU device runs on Linux x64 only; elsewhere the kernels need an NVIDIA GPU, through "
                + "Device.Cuda.";
        }

        return hasInstructions
            ? null
            : "the CPU device needs a processor with AVX2, FMA, BMI and LZCNT (x86-64-v3), which this one lacks.";
    }

    /// <summary>
    /// Finds the driver that made a context. The CPU device's library knows its own contexts and refuses all others,
    /// which must then be the CUDA driver's.
    /// </summary>
    public static DriverApi OwnerOf(nint context)
    {
        try
        {
            return Cpu.Knows(context) ? Cpu : Cuda;
        }
        catch (Exception missing) when (missing is PlatformNotSupportedException or DllNotFoundException)
        {
            return Cuda; // a library that cannot be loaded has made no context
        }
    }

    private readonly IReadOnlyDictionary<string, nint>? _replaced;

    public readonly nint Library;
    public readonly bool IsCpu;
    public readonly delegate* unmanaged<uint, int> Init;
    public readonly delegate* unmanaged<int*, int> DriverGetVersion;
    public readonly delegate* unmanaged<int, byte**, int> GetErrorName;
    public readonly delegate* unmanaged<int, byte**, int> GetErrorString;
    public readonly delegate* unmanaged<int*, int> DeviceGetCount;
    public readonly delegate* unmanaged<int*, int, int> DeviceGet;
    public readonly delegate* unmanaged<byte*, int, int, int> DeviceGetName;
    public readonly delegate* unmanaged<int*, int, int, int> DeviceGetAttribute;
    public readonly delegate* unmanaged<nuint*, int, int> DeviceTotalMem;
    public readonly delegate* unmanaged<nint*, int, int> DevicePrimaryCtxRetain;
    public readonly delegate* unmanaged<int, int> DevicePrimaryCtxRelease;
    public readonly delegate* unmanaged<nint, int> CtxSetCurrent;
    public readonly delegate* unmanaged<nint*, int> CtxGetCurrent;
    public readonly delegate* unmanaged<nint*, void*, uint, int*, void**, int> ModuleLoadDataEx;
    public readonly delegate* unmanaged<nint, int> ModuleUnload;
    public readonly delegate* unmanaged<nint*, nint, byte*, int> ModuleGetFunction;
    public readonly delegate* unmanaged<ulong*, nuint*, nint, byte*, int> ModuleGetGlobal;

    /// <summary>Null if the driver is older than 12.4.</summary>
    public readonly delegate* unmanaged<uint*, nint, int> ModuleGetFunctionCount;

    /// <summary>Null if the driver is older than 12.4.</summary>
    public readonly delegate* unmanaged<nint*, uint, nint, int> ModuleEnumerateFunctions;

    /// <summary>Null if the driver is older than 12.3.</summary>
    public readonly delegate* unmanaged<byte**, nint, int> FuncGetName;
    public readonly delegate* unmanaged<int*, int, nint, int> FuncGetAttribute;
    public readonly delegate* unmanaged<nint, int, int, int> FuncSetAttribute;

    /// <summary>Null if the driver is older than 12.4.</summary>
    public readonly delegate* unmanaged<nint, nuint, nuint*, nuint*, int> FuncGetParamInfo;
    public readonly delegate* unmanaged<ulong*, nuint, int> MemAlloc;
    public readonly delegate* unmanaged<ulong, int> MemFree;
    public readonly delegate* unmanaged<nint*, nuint, uint, int> MemHostAlloc;
    public readonly delegate* unmanaged<nint, int> MemFreeHost;
    public readonly delegate* unmanaged<nuint*, nuint*, int> MemGetInfo;
    public readonly delegate* unmanaged<ulong, void*, nuint, nint, int> MemcpyHtoDAsync;
    public readonly delegate* unmanaged<void*, ulong, nuint, nint, int> MemcpyDtoHAsync;
    public readonly delegate* unmanaged<ulong, ulong, nuint, nint, int> MemcpyDtoDAsync;
    public readonly delegate* unmanaged<ulong, byte, nuint, nint, int> MemsetD8Async;
    public readonly delegate* unmanaged<nint*, uint, int> StreamCreate;
    public readonly delegate* unmanaged<nint, int> StreamSynchronize;
    public readonly delegate* unmanaged<nint, nint, uint, int> StreamWaitEvent;
    public readonly delegate* unmanaged<nint, int> StreamDestroy;
    public readonly delegate* unmanaged<nint, int, int> StreamBeginCapture;
    public readonly delegate* unmanaged<nint, nint*, int> StreamEndCapture;
    public readonly delegate* unmanaged<nint, nint*, nuint*, int> GraphGetNodes;
    public readonly delegate* unmanaged<nint*, nint, ulong, int> GraphInstantiateWithFlags;
    public readonly delegate* unmanaged<nint, nint, int> GraphLaunch;
    public readonly delegate* unmanaged<nint, int> GraphDestroy;
    public readonly delegate* unmanaged<nint, int> GraphExecDestroy;
    public readonly delegate* unmanaged<nint*, uint, int> EventCreate;
    public readonly delegate* unmanaged<nint, nint, int> EventRecord;
    public readonly delegate* unmanaged<nint, int> EventSynchronize;
    public readonly delegate* unmanaged<float*, nint, nint, int> EventElapsedTime;
    public readonly delegate* unmanaged<nint, int> EventDestroy;
    public readonly LaunchKernelFunction LaunchKernel;
    public readonly TensorMapEncodeTiledFunction TensorMapEncodeTiled;
    private readonly delegate* unmanaged<byte*> _cpuLastError;
    private readonly delegate* unmanaged<byte*> _cpuProductLibrary;
    private readonly delegate* unmanaged<byte*, CLong, void> _cpuSetOption;
    private readonly delegate* unmanaged<byte*, CLong> _cpuGetOption;
    private readonly delegate* unmanaged<byte*, byte*, nuint, int> _argsLayout;
    private readonly delegate* unmanaged<byte*, nuint, int> _kernelFacts;
    private readonly delegate* unmanaged<byte*, nuint, int> _cpuCounters;
    private readonly delegate* unmanaged<nint, byte*, nuint, int> _parameterTypes;

    private DriverApi(DriverApi rehearsed)
        : this(
            rehearsed.Library,
            rehearsed.IsCpu ? CpuLibraryName : "the CUDA driver",
            rehearsed.IsCpu,
            RehearsedCalls.Entries
        ) { }

    private DriverApi(nint library, string name, bool isCpu, IReadOnlyDictionary<string, nint>? replaced = null)
    {
        Library = library;
        IsCpu = isCpu;
        _replaced = replaced;
        nint F(string function) => Replaced(function) ?? NativeLibraries.Function(library, name, function);
        nint Newer(string function) => NativeLibrary.TryGetExport(library, function, out nint address) ? address : 0;
        Init = (delegate* unmanaged<uint, int>)F("cuInit");
        DriverGetVersion = (delegate* unmanaged<int*, int>)F("cuDriverGetVersion");
        GetErrorName = (delegate* unmanaged<int, byte**, int>)F("cuGetErrorName");
        GetErrorString = (delegate* unmanaged<int, byte**, int>)F("cuGetErrorString");
        DeviceGetCount = (delegate* unmanaged<int*, int>)F("cuDeviceGetCount");
        DeviceGet = (delegate* unmanaged<int*, int, int>)F("cuDeviceGet");
        DeviceGetName = (delegate* unmanaged<byte*, int, int, int>)F("cuDeviceGetName");
        DeviceGetAttribute = (delegate* unmanaged<int*, int, int, int>)F("cuDeviceGetAttribute");
        DeviceTotalMem = (delegate* unmanaged<nuint*, int, int>)F("cuDeviceTotalMem_v2");
        DevicePrimaryCtxRetain = (delegate* unmanaged<nint*, int, int>)F("cuDevicePrimaryCtxRetain");
        DevicePrimaryCtxRelease = (delegate* unmanaged<int, int>)F("cuDevicePrimaryCtxRelease_v2");
        CtxSetCurrent = (delegate* unmanaged<nint, int>)F("cuCtxSetCurrent");
        CtxGetCurrent = (delegate* unmanaged<nint*, int>)F("cuCtxGetCurrent");
        ModuleLoadDataEx = (delegate* unmanaged<nint*, void*, uint, int*, void**, int>)F("cuModuleLoadDataEx");
        ModuleUnload = (delegate* unmanaged<nint, int>)F("cuModuleUnload");
        ModuleGetFunction = (delegate* unmanaged<nint*, nint, byte*, int>)F("cuModuleGetFunction");
        ModuleGetGlobal = (delegate* unmanaged<ulong*, nuint*, nint, byte*, int>)F("cuModuleGetGlobal_v2");
        ModuleGetFunctionCount = (delegate* unmanaged<uint*, nint, int>)Newer("cuModuleGetFunctionCount");
        ModuleEnumerateFunctions = (delegate* unmanaged<nint*, uint, nint, int>)Newer("cuModuleEnumerateFunctions");
        FuncGetName = (delegate* unmanaged<byte**, nint, int>)Newer("cuFuncGetName");
        FuncGetAttribute = (delegate* unmanaged<int*, int, nint, int>)F("cuFuncGetAttribute");
        FuncGetParamInfo = (delegate* unmanaged<nint, nuint, nuint*, nuint*, int>)Newer("cuFuncGetParamInfo");
        FuncSetAttribute = (delegate* unmanaged<nint, int, int, int>)F("cuFuncSetAttribute");
        MemAlloc = (delegate* unmanaged<ulong*, nuint, int>)F("cuMemAlloc_v2");
        MemFree = (delegate* unmanaged<ulong, int>)F("cuMemFree_v2");
        MemHostAlloc = (delegate* unmanaged<nint*, nuint, uint, int>)F("cuMemHostAlloc");
        MemFreeHost = (delegate* unmanaged<nint, int>)F("cuMemFreeHost");
        MemGetInfo = (delegate* unmanaged<nuint*, nuint*, int>)F("cuMemGetInfo_v2");
        MemcpyHtoDAsync = (delegate* unmanaged<ulong, void*, nuint, nint, int>)F("cuMemcpyHtoDAsync_v2");
        MemcpyDtoHAsync = (delegate* unmanaged<void*, ulong, nuint, nint, int>)F("cuMemcpyDtoHAsync_v2");
        MemcpyDtoDAsync = (delegate* unmanaged<ulong, ulong, nuint, nint, int>)F("cuMemcpyDtoDAsync_v2");
        MemsetD8Async = (delegate* unmanaged<ulong, byte, nuint, nint, int>)F("cuMemsetD8Async");
        StreamCreate = (delegate* unmanaged<nint*, uint, int>)F("cuStreamCreate");
        StreamSynchronize = (delegate* unmanaged<nint, int>)F("cuStreamSynchronize");
        StreamWaitEvent = (delegate* unmanaged<nint, nint, uint, int>)F("cuStreamWaitEvent");
        StreamDestroy = (delegate* unmanaged<nint, int>)F("cuStreamDestroy_v2");
        StreamBeginCapture = (delegate* unmanaged<nint, int, int>)F("cuStreamBeginCapture_v2");
        StreamEndCapture = (delegate* unmanaged<nint, nint*, int>)F("cuStreamEndCapture");
        GraphGetNodes = (delegate* unmanaged<nint, nint*, nuint*, int>)F("cuGraphGetNodes");
        GraphInstantiateWithFlags = (delegate* unmanaged<nint*, nint, ulong, int>)F("cuGraphInstantiateWithFlags");
        GraphLaunch = (delegate* unmanaged<nint, nint, int>)F("cuGraphLaunch");
        GraphDestroy = (delegate* unmanaged<nint, int>)F("cuGraphDestroy");
        GraphExecDestroy = (delegate* unmanaged<nint, int>)F("cuGraphExecDestroy");
        EventCreate = (delegate* unmanaged<nint*, uint, int>)F("cuEventCreate");
        EventRecord = (delegate* unmanaged<nint, nint, int>)F("cuEventRecord");
        EventSynchronize = (delegate* unmanaged<nint, int>)F("cuEventSynchronize");
        EventElapsedTime = (delegate* unmanaged<float*, nint, nint, int>)F("cuEventElapsedTime");
        EventDestroy = (delegate* unmanaged<nint, int>)F("cuEventDestroy_v2");
        LaunchKernel = (LaunchKernelFunction)F("cuLaunchKernel");
        TensorMapEncodeTiled = (TensorMapEncodeTiledFunction)F("cuTensorMapEncodeTiled");
        if (isCpu)
        {
            _cpuLastError = (delegate* unmanaged<byte*>)F("spectralCpuLastError");
            _cpuProductLibrary = (delegate* unmanaged<byte*>)F("spectralCpuProductLibrary");
            _cpuSetOption = (delegate* unmanaged<byte*, CLong, void>)F("spectralCpuSetOption");
            _cpuGetOption = (delegate* unmanaged<byte*, CLong>)F("spectralCpuGetOption");
            _argsLayout = (delegate* unmanaged<byte*, byte*, nuint, int>)F("spectralArgsLayout");
            _kernelFacts = (delegate* unmanaged<byte*, nuint, int>)F("spectralKernelFacts");
            _cpuCounters = (delegate* unmanaged<byte*, nuint, int>)F("spectralCpuCounters");
            _parameterTypes = (delegate* unmanaged<nint, byte*, nuint, int>)F("spectralParameterTypes");
        }
        Check(Init(0), "starting the driver");
    }

    /// <summary>Whether this is a driver that <see cref="Rehearsed"/> returned.</summary>
    public bool IsRehearsed => _replaced is not null;

    /// <summary>
    /// Returns the address of what stands in for a function of the driver or of one of its libraries; null where
    /// nothing does.
    /// </summary>
    public nint? Replaced(string function) =>
        _replaced is not null && _replaced.TryGetValue(function, out nint address) ? address : null;

    /// <summary>Turns a status other than success into an exception with the text of the call.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Check(int status, string doing, [CallerArgumentExpression(nameof(status))] string call = "")
    {
        if (status != 0)
            Throw(status, doing, call);
    }

    /// <summary>
    /// Turns a status other than success into an exception. The text of the work is formatted only for a failed call,
    /// so that a launch allocates nothing.
    /// </summary>
    public void Check(
        int status,
        [InterpolatedStringHandlerArgument(nameof(status))] ref FailureText doing,
        [CallerArgumentExpression(nameof(status))] string call = ""
    )
    {
        if (status != 0)
            Throw(status, doing.ToString(), call);
    }

    // Looks the context up and leaves the current one as it was. Only the CPU device's library may be asked: the CUDA
    // driver would follow an address that is not one of its own.
    private bool Knows(nint context)
    {
        nint previous;
        Check(CtxGetCurrent(&previous), "asking for the current context");
        if (CtxSetCurrent(context) != 0)
            return false;
        Check(CtxSetCurrent(previous), "restoring the current context");
        return true;
    }

    private void Throw(int status, string doing, string call) =>
        Fail(status, doing, "cu" + call[(call.LastIndexOf('.', call.IndexOf('(')) + 1)..]);

    /// <summary>Throws the exception for a failed call.</summary>
    /// <param name="status">What it returned.</param>
    /// <param name="doing">What was being done.</param>
    /// <param name="call">The call, with the values of its arguments.</param>
    /// <param name="log">What the call wrote into its log, if it has one.</param>
    /// <exception cref="CudaException">Always.</exception>
    [DoesNotReturn]
    public void Fail(int status, string doing, string call, string log = "")
    {
        byte* text;
        string name = GetErrorName(status, &text) == 0 ? Marshal.PtrToStringUTF8((nint)text)! : "unknown status";
        string message = GetErrorString(status, &text) == 0 ? Marshal.PtrToStringUTF8((nint)text) ?? "" : "";
        if (IsCpu && Marshal.PtrToStringUTF8((nint)_cpuLastError()) is { Length: > 0 } fault)
            message = fault;
        else if (log.Length > 0)
            message += $": {log}";
        throw new CudaException(call, status, name, message, doing);
    }

    /// <summary>Returns the value of an option of the CPU device.</summary>
    public long CpuOption(string name)
    {
        fixed (byte* text = Encoding.UTF8.GetBytes(name + "\0"))
            return (long)_cpuGetOption(text).Value;
    }

    /// <summary>Names the library that multiplies matrices on the CPU device, e.g. <c>oneDNN 2.6.3</c>.</summary>
    public string CpuProductLibrary() => Marshal.PtrToStringUTF8((nint)_cpuProductLibrary())!;

    /// <summary>Sets an option of the CPU device (threads, seed, poison, count, onednn …).</summary>
    public void SetCpuOption(string name, long value)
    {
        fixed (byte* text = Encoding.UTF8.GetBytes(name + "\0"))
            _cpuSetOption(text, new CLong((nint)value));
    }

    /// <summary>
    /// Returns what the native side reports about the kernels that the current context has loaded, one per line:
    /// <c>name argument-bytes threads cluster shared-bytes static-shared-bytes</c>; shared-bytes, of dynamic shared
    /// memory, is −1 if it depends on the arguments.
    /// </summary>
    public string KernelFacts() => Text(_kernelFacts);

    /// <summary>
    /// Returns what the CPU device counted in each launch of PTX since its option <c>count</c> was set:
    /// <c>kernel NAME</c>, then a line <c>COUNTER VALUE</c> each.
    /// </summary>
    public string CountedLaunches() => Text(_cpuCounters);

    /// <summary>
    /// Returns the types of a PTX kernel's parameters on the CPU device: <c>u64</c>, or <c>b8 16</c> for an array of
    /// 16 bytes. Null if the kernel is not of PTX.
    /// </summary>
    public IReadOnlyList<string>? ParameterTypes(nint function)
    {
        byte* text = stackalloc byte[1 << 16];
        int length = _parameterTypes(function, text, 1 << 16);
        return length < 0
            ? null
            : Encoding.UTF8.GetString(text, length).Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }

    private static string Text(delegate* unmanaged<byte*, nuint, int> function)
    {
        byte[] text = new byte[function(null, 0) + 1];
        fixed (byte* pointer = text)
            _ = function(pointer, (nuint)text.Length);
        return Encoding.UTF8.GetString(text, 0, text.Length - 1);
    }

    /// <summary>
    /// Returns the size and the field offsets of a kernel's argument struct as the native compiler laid it out,
    /// <c>size;field:offset:size;…</c>, or null if there is no such kernel.
    /// </summary>
    public string? ArgumentLayout(string kernel)
    {
        byte* text = stackalloc byte[4096];
        fixed (byte* name = Encoding.UTF8.GetBytes(kernel + "\0"))
            return _argsLayout(name, text, 4096) >= 0 ? Marshal.PtrToStringUTF8((nint)text) : null;
    }
}
