using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Spectral.Kernels.Driver;

/// <summary>
/// Stands in for the calls of a driver and its libraries that take device memory or compute: they succeed and do
/// nothing. Memory that is asked for has an address of its own; memory that is read to the host is all zeros.
/// </summary>
internal static unsafe class RehearsedCalls
{
    // Addresses are of the size that the driver aligns allocations to, and none is that of an allocation it made.
    private const long Alignment = 512;
    private const long First = 1L << 56;
    private static long _next = First;

    /// <summary>The entry points that are replaced, by their names in the library.</summary>
    public static IReadOnlyDictionary<string, nint> Entries { get; } =
        new Dictionary<string, nint>
        {
            ["cuMemAlloc_v2"] = (nint)(delegate* unmanaged[Cdecl]<ulong*, nuint, int>)&Allocate,
            ["cuMemFree_v2"] = (nint)(delegate* unmanaged[Cdecl]<ulong, int>)&Free,
            ["cuMemHostAlloc"] = (nint)(delegate* unmanaged[Cdecl]<ulong*, nuint, uint, int>)&AllocateHost,
            ["cuMemFreeHost"] = (nint)(delegate* unmanaged[Cdecl]<ulong, int>)&Free,
            ["cuMemcpyHtoDAsync_v2"] = (nint)(delegate* unmanaged[Cdecl]<ulong, void*, nuint, nint, int>)&ToDevice,
            ["cuMemcpyDtoHAsync_v2"] = (nint)(delegate* unmanaged[Cdecl]<void*, ulong, nuint, nint, int>)&ToHost,
            ["cuMemcpyDtoDAsync_v2"] = (nint)(delegate* unmanaged[Cdecl]<ulong, ulong, nuint, nint, int>)&OnDevice,
            ["cuMemsetD8Async"] = (nint)(delegate* unmanaged[Cdecl]<ulong, byte, nuint, nint, int>)&Set,
            ["cuLaunchKernel"] = (nint)
                (delegate* unmanaged[Cdecl]<nint, uint, uint, uint, uint, uint, uint, uint, nint, void**, void**, int>)
                    &Launch,
            ["cublasSetWorkspace_v2"] = (nint)(delegate* unmanaged[Cdecl]<nint, ulong, nuint, int>)&SetWorkspace,
            ["cublasGemmEx"] = (nint)
                (delegate* unmanaged[Cdecl]<
                    nint,
                    int,
                    int,
                    int,
                    int,
                    int,
                    void*,
                    ulong,
                    int,
                    int,
                    ulong,
                    int,
                    int,
                    void*,
                    ulong,
                    int,
                    int,
                    int,
                    int,
                    int>)
                    &Gemm,
            ["cublasGemmStridedBatchedEx"] = (nint)
                (delegate* unmanaged[Cdecl]<
                    nint,
                    int,
                    int,
                    int,
                    int,
                    int,
                    void*,
                    ulong,
                    int,
                    int,
                    long,
                    ulong,
                    int,
                    int,
                    long,
                    void*,
                    ulong,
                    int,
                    int,
                    long,
                    int,
                    int,
                    int,
                    int>)
                    &GemmBatched,
            ["cusolverDnDpotrf"] = (nint)
                (delegate* unmanaged[Cdecl]<nint, int, int, ulong, int, ulong, int, ulong, int>)&Cholesky,
            ["cusolverDnXtrtri"] = (nint)
                (delegate* unmanaged[Cdecl]<
                    nint,
                    int,
                    int,
                    long,
                    int,
                    ulong,
                    long,
                    ulong,
                    nuint,
                    void*,
                    nuint,
                    ulong,
                    int>)
                    &InvertTriangle,
            ["cusolverDnSgeqrf"] = (nint)
                (delegate* unmanaged[Cdecl]<nint, int, int, ulong, int, ulong, ulong, int, ulong, int>)&Reflect,
            ["cusolverDnSorgqr"] = (nint)
                (delegate* unmanaged[Cdecl]<nint, int, int, int, ulong, int, ulong, ulong, int, ulong, int>)
                    &FormFromReflections,
            ["cusolverDnDgesvd"] = (nint)
                (delegate* unmanaged[Cdecl]<
                    nint,
                    sbyte,
                    sbyte,
                    int,
                    int,
                    ulong,
                    int,
                    ulong,
                    ulong,
                    int,
                    ulong,
                    int,
                    ulong,
                    int,
                    ulong,
                    ulong,
                    int>)
                    &Decompose,
        };

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int SetWorkspace(nint handle, ulong pointer, nuint bytes) => 0;

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int Allocate(ulong* pointer, nuint bytes)
    {
        *pointer = Next(bytes);
        return 0;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int AllocateHost(ulong* pointer, nuint bytes, uint flags)
    {
        *pointer = Next(bytes);
        return 0;
    }

    private static ulong Next(nuint bytes)
    {
        long size = ((long)bytes + Alignment - 1) / Alignment * Alignment;
        return (ulong)(Interlocked.Add(ref _next, size) - size);
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int Free(ulong pointer) => 0;

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int ToDevice(ulong to, void* from, nuint bytes, nint stream) => 0;

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int ToHost(void* to, ulong from, nuint bytes, nint stream)
    {
        // Host memory that was allocated here is not there either.
        if ((ulong)to < First)
            NativeMemory.Clear(to, bytes);
        return 0;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int OnDevice(ulong to, ulong from, nuint bytes, nint stream) => 0;

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int Set(ulong to, byte value, nuint bytes, nint stream) => 0;

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int Launch(
        nint function,
        uint gridX,
        uint gridY,
        uint gridZ,
        uint blockX,
        uint blockY,
        uint blockZ,
        uint sharedBytes,
        nint stream,
        void** arguments,
        void** extra
    ) => 0;

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int Gemm(
        nint handle,
        int opA,
        int opB,
        int m,
        int n,
        int k,
        void* alpha,
        ulong a,
        int typeA,
        int strideA,
        ulong b,
        int typeB,
        int strideB,
        void* beta,
        ulong c,
        int typeC,
        int strideC,
        int compute,
        int algorithm
    ) => 0;

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int GemmBatched(
        nint handle,
        int opA,
        int opB,
        int m,
        int n,
        int k,
        void* alpha,
        ulong a,
        int typeA,
        int strideA,
        long nextA,
        ulong b,
        int typeB,
        int strideB,
        long nextB,
        void* beta,
        ulong c,
        int typeC,
        int strideC,
        long nextC,
        int count,
        int compute,
        int algorithm
    ) => 0;

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int Cholesky(
        nint handle,
        int triangle,
        int n,
        ulong a,
        int stride,
        ulong work,
        int elements,
        ulong info
    ) => 0;

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int InvertTriangle(
        nint handle,
        int triangle,
        int diagonal,
        long n,
        int type,
        ulong a,
        long stride,
        ulong work,
        nuint bytes,
        void* hostWork,
        nuint hostBytes,
        ulong info
    ) => 0;

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int Reflect(
        nint handle,
        int m,
        int n,
        ulong a,
        int stride,
        ulong tau,
        ulong work,
        int elements,
        ulong info
    ) => 0;

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int FormFromReflections(
        nint handle,
        int m,
        int n,
        int k,
        ulong a,
        int stride,
        ulong tau,
        ulong work,
        int elements,
        ulong info
    ) => 0;

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int Decompose(
        nint handle,
        sbyte left,
        sbyte right,
        int m,
        int n,
        ulong a,
        int strideA,
        ulong values,
        ulong u,
        int strideU,
        ulong vt,
        int strideVt,
        ulong work,
        int elements,
        ulong real,
        ulong info
    ) => 0;
}
