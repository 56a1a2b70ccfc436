using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Spectral.Kernels.Driver;

namespace Spectral.Kernels.Collectives;

/// <summary>
/// Finds the functions of NCCL, or those of the same names that move the CPU device's data over MPI, and checks what
/// they return.
/// </summary>
internal sealed unsafe class NcclApi
{
    /// <summary>File of the CPU device's functions, which a build has where MPI was found.</summary>
    public const string MpiLibrary = "libspectral_nccl_mpi.so";

    private static readonly string[] ResultNames =
    [
        "ncclSuccess",
        "ncclUnhandledCudaError",
        "ncclSystemError",
        "ncclInternalError",
        "ncclInvalidArgument",
        "ncclInvalidUsage",
        "ncclRemoteError",
        "ncclInProgress",
    ];

    private static readonly Lazy<NcclApi> LazyNccl = new(() =>
        new NcclApi(NativeLibraries.Load("NCCL, which moves data between GPUs", "libnccl.so.2"), "NCCL")
    );
    private static readonly Lazy<NcclApi> LazyMpi = new(() =>
        new NcclApi(
            NativeLibraries.Load(
                "MPI between ranks (this build has none unless MPI's headers were there: libopenmpi-dev)",
                MpiLibrary
            ),
            MpiLibrary
        )
    );

    private readonly nint _library;
    private readonly string _name;
    private readonly delegate* unmanaged<int, byte*> _errorString;
    private readonly delegate* unmanaged<nint, byte*> _lastError;
    private readonly delegate* unmanaged<CommunicatorId*, int> _uniqueId;

    private NcclApi(nint library, string name)
    {
        (_library, _name) = (library, name);
        _errorString = (delegate* unmanaged<int, byte*>)F("ncclGetErrorString");
        // Since NCCL 2.13.
        _lastError = NativeLibrary.TryGetExport(library, "ncclGetLastError", out nint last)
            ? (delegate* unmanaged<nint, byte*>)last
            : null;
        _uniqueId = (delegate* unmanaged<CommunicatorId*, int>)F("ncclGetUniqueId");
        InitRank = (delegate* unmanaged<nint*, int, CommunicatorId, int, int>)F("ncclCommInitRank");
        Destroy = (delegate* unmanaged<nint, int>)F("ncclCommDestroy");
        Abort = (delegate* unmanaged<nint, int>)F("ncclCommAbort");
        GroupStart = (delegate* unmanaged<int>)F("ncclGroupStart");
        GroupEnd = (delegate* unmanaged<int>)F("ncclGroupEnd");
        AllReduce = (delegate* unmanaged<ulong, ulong, nuint, int, int, nint, nint, int>)F("ncclAllReduce");
        ReduceScatter = (delegate* unmanaged<ulong, ulong, nuint, int, int, nint, nint, int>)F("ncclReduceScatter");
        AllGather = (delegate* unmanaged<ulong, ulong, nuint, int, nint, nint, int>)F("ncclAllGather");
        Broadcast = (delegate* unmanaged<ulong, ulong, nuint, int, int, nint, nint, int>)F("ncclBroadcast");
        BytesSent = NativeLibrary.TryGetExport(library, "spectral_nccl_bytes_sent", out nint sent)
            ? (delegate* unmanaged<nint, ulong>)sent
            : null;
    }

    public readonly delegate* unmanaged<nint*, int, CommunicatorId, int, int> InitRank;
    public readonly delegate* unmanaged<nint, int> Destroy;
    public readonly delegate* unmanaged<nint, int> Abort;
    public readonly delegate* unmanaged<int> GroupStart;
    public readonly delegate* unmanaged<int> GroupEnd;
    public readonly delegate* unmanaged<ulong, ulong, nuint, int, int, nint, nint, int> AllReduce;
    public readonly delegate* unmanaged<ulong, ulong, nuint, int, int, nint, nint, int> ReduceScatter;
    public readonly delegate* unmanaged<ulong, ulong, nuint, int, nint, nint, int> AllGather;
    public readonly delegate* unmanaged<ulong, ulong, nuint, int, int, nint, nint, int> Broadcast;

    /// <summary>Counts the bytes that a communicator has sent; null in NCCL, which does not count.</summary>
    public readonly delegate* unmanaged<nint, ulong> BytesSent;

    /// <summary>MPI alone, whatever moves the data.</summary>
    public static NcclApi OverMpi => LazyMpi.Value;

    /// <summary>Returns the functions for a device.</summary>
    /// <exception cref="DllNotFoundException">The library is missing.</exception>
    public static NcclApi Of(Device device) => device.Kind == DeviceKind.Cpu ? LazyMpi.Value : LazyNccl.Value;

    /// <summary>Returns the value of <c>ncclDataType_t</c> for a type.</summary>
    public static int TypeOf(DType type) =>
        type switch
        {
            DType.U8 => 1,
            DType.I32 => 2,
            DType.F32 => 7,
            DType.F64 => 8,
            DType.BF16 => 9,
            _ => throw new ArgumentException($"{type} cannot be sent between ranks", nameof(type)),
        };

    public CommunicatorId UniqueId()
    {
        CommunicatorId id;
        Check(_uniqueId(&id), "making the id of a group of ranks");
        return id;
    }

    /// <summary>Overwrites the id on all ranks with that of rank 0. MPI starts and ends here.</summary>
    public void BroadcastFromFirst(Span<byte> id)
    {
        var start = (delegate* unmanaged<int*, int*, int>)F("spectral_mpi_start");
        var broadcast = (delegate* unmanaged<byte*, nuint, int>)F("spectral_mpi_broadcast");
        var stop = (delegate* unmanaged<int>)F("spectral_mpi_stop");
        (int rank, int ranks) = (0, 0);
        Check(start(&rank, &ranks), "starting MPI");
        fixed (byte* bytes = id)
            Check(broadcast(bytes, (nuint)id.Length), "handing NCCL's id to all ranks");
        Check(stop(), "ending MPI");
    }

    /// <summary>Turns a result other than success into an exception with the text of the call.</summary>
    /// <exception cref="CudaException">The result is not success.</exception>
    public void Check(int result, string doing, [CallerArgumentExpression(nameof(result))] string call = "")
    {
        if (result == 0)
            return;
        string? detail = _lastError is null ? null : Marshal.PtrToStringUTF8((nint)_lastError(0));
        string text = string.IsNullOrEmpty(detail) ? Marshal.PtrToStringUTF8((nint)_errorString(result))! : detail;
        string name = (uint)result < (uint)ResultNames.Length ? ResultNames[result] : "unknown result";
        throw new CudaException(call.TrimStart('_'), result, name, text.TrimEnd(), doing);
    }

    private nint F(string function) => NativeLibraries.Function(_library, _name, function);
}
