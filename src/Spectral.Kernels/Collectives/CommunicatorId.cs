using System.Runtime.CompilerServices;

namespace Spectral.Kernels.Collectives;

/// <summary>Names a group of ranks that is about to form; one rank makes it and hands it to all others.</summary>
/// <remarks>NCCL's <c>ncclUniqueId</c>: 128 bytes, among them the address at which the first rank listens.</remarks>
[InlineArray(Size)]
public struct CommunicatorId
{
    /// <summary>Number of bytes of an id.</summary>
    public const int Size = 128;

    private byte _first;

    /// <summary>Makes the id of a new group, on one of its ranks.</summary>
    /// <param name="device">Device of that rank.</param>
    /// <exception cref="DllNotFoundException">The library that moves data between ranks is missing.</exception>
    /// <exception cref="Driver.CudaException">The library could not make one.</exception>
    public static CommunicatorId Create(Device device) => NcclApi.Of(device).UniqueId();

    /// <summary>
    /// Makes the id on rank 0 and hands it to all others by MPI, which started the process; every rank calls it.
    /// </summary>
    /// <param name="device">Device of the calling rank.</param>
    /// <param name="rank">Number of the calling rank, from 0.</param>
    /// <exception cref="DllNotFoundException">A library is missing: this build has no MPI, or the machine no
    /// NCCL.</exception>
    /// <exception cref="Driver.CudaException">MPI or NCCL failed.</exception>
    public static CommunicatorId OverMpi(Device device, int rank)
    {
        var nccl = NcclApi.Of(device);
        // On the CPU device MPI connects the ranks itself.
        if (device.Kind == DeviceKind.Cpu)
            return nccl.UniqueId();
        CommunicatorId id = rank == 0 ? nccl.UniqueId() : default;
        NcclApi.OverMpi.BroadcastFromFirst(id);
        return id;
    }
}
