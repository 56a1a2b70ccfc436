using Spectral.Kernels.Driver;

namespace Spectral.Kernels.Collectives;

/// <summary>
/// Moves tensors between the ranks of a group: processes with a device each, that make the same calls in the same
/// order. NCCL does it between GPUs, MPI between processes with the CPU device.
/// </summary>
/// <remarks>
/// Calls are queued on the device's current stream, as kernels are, and may be captured into a graph. The result of a
/// sum has the same bits on all ranks, and from run to run with the same number of ranks. Disposing waits for the other
/// ranks; after a failure, <see cref="Abort"/> comes first.
/// </remarks>
/// <example>
/// <code>
/// // In the first of two processes that MPI started:
/// int rank = 0;
/// using var gradient = Tensor.Zeros(device, 8, DType.F32);
/// using Communicator ranks = new(device, CommunicatorId.OverMpi(device, rank), rank, 2);
/// ranks.Sum(gradient);
/// </code>
/// </example>
public sealed unsafe class Communicator : IDisposable
{
    private const int SumOperation = 0;

    private readonly NcclApi _nccl;
    private readonly CommunicatorHandle _handle;
    private long _ringBytes;

    /// <summary>Joins a group, and waits until all its ranks have.</summary>
    /// <param name="device">Device of this rank.</param>
    /// <param name="id">Id that one rank made for all.</param>
    /// <param name="rank">Number of this rank, from 0.</param>
    /// <param name="count">Number of ranks.</param>
    /// <exception cref="ArgumentException">There is no such rank, or the device is a rehearsal.</exception>
    /// <exception cref="DllNotFoundException">The library that moves data between ranks is missing.</exception>
    /// <exception cref="CudaException">The ranks could not connect.</exception>
    public Communicator(Device device, CommunicatorId id, int rank, int count)
    {
        if (device.IsRehearsal)
            throw new ArgumentException("a rehearsal has no other ranks", nameof(device));
        if (rank < 0 || rank >= count)
            throw new ArgumentException($"rank {rank} of {count}, expected one from 0 to {count - 1}", nameof(rank));
        (Device, Rank, Count) = (device, rank, count);
        _nccl = NcclApi.Of(device);
        device.Activate();
        nint communicator;
        _nccl.Check(_nccl.InitRank(&communicator, count, id, rank), $"joining {count} ranks as rank {rank}");
        _handle = new CommunicatorHandle(device, _nccl, communicator);
    }

    /// <summary>Device whose tensors this rank sends and receives.</summary>
    public Device Device { get; }

    /// <summary>Number of this rank, from 0.</summary>
    public int Rank { get; }

    /// <summary>Number of ranks of the group.</summary>
    public int Count { get; }

    /// <summary>
    /// Bytes that this rank has sent so far: counted message by message on the CPU device; on a GPU those of a ring,
    /// since NCCL does not say.
    /// </summary>
    public long BytesSent => _nccl.BytesSent is null ? _ringBytes : checked((long)_nccl.BytesSent(_handle.Value));

    /// <summary>Replaces tensors, F32, F64 or I32 of any shape, by their sums over all ranks.</summary>
    /// <exception cref="CudaException">A rank could not be reached.</exception>
    public void Sum(params ReadOnlySpan<Tensor> tensors)
    {
        nint stream = Begin();
        string doing = $"adding tensors of {Count} ranks";
        _nccl.Check(_nccl.GroupStart(), doing);
        foreach (Tensor tensor in tensors)
        {
            (ulong data, nuint count) = (Own(tensor).Pointer, (nuint)tensor.Count);
            int type = NcclApi.TypeOf(tensor.DType);
            _nccl.Check(_nccl.AllReduce(data, data, count, type, SumOperation, _handle.Value, stream), doing);
            _ringBytes += 2 * tensor.Bytes * (Count - 1) / Count;
        }

        _nccl.Check(_nccl.GroupEnd(), doing);
    }

    /// <summary>Adds tensors of all ranks and leaves each rank its share of the sum.</summary>
    /// <param name="tensor">[N · K] for N ranks, F32, F64 or I32; stays as it is.</param>
    /// <param name="share">Receives elements rank · K to (rank + 1) · K − 1 of the sum, K of the same type.</param>
    /// <exception cref="ArgumentException">Count or type of the share does not fit.</exception>
    /// <exception cref="CudaException">A rank could not be reached.</exception>
    public void SumToShares(Tensor tensor, Tensor share)
    {
        RequireShare(tensor, share);
        _nccl.Check(
            _nccl.ReduceScatter(
                Own(tensor).Pointer,
                Own(share).Pointer,
                (nuint)share.Count,
                NcclApi.TypeOf(share.DType),
                SumOperation,
                _handle.Value,
                Begin()
            ),
            $"adding shares of {Count} ranks"
        );
        _ringBytes += share.Bytes * (Count - 1);
    }

    /// <summary>Joins the shares of all ranks, in the order of the ranks.</summary>
    /// <param name="share">This rank's share, K elements.</param>
    /// <param name="tensor">Receives all, [N · K] for N ranks; it may contain the share in its place.</param>
    /// <exception cref="ArgumentException">Count or type of the share does not fit.</exception>
    /// <exception cref="CudaException">A rank could not be reached.</exception>
    public void Gather(Tensor share, Tensor tensor)
    {
        RequireShare(tensor, share);
        _nccl.Check(
            _nccl.AllGather(
                Own(share).Pointer,
                Own(tensor).Pointer,
                (nuint)share.Count,
                NcclApi.TypeOf(share.DType),
                _handle.Value,
                Begin()
            ),
            $"joining shares of {Count} ranks"
        );
        _ringBytes += share.Bytes * (Count - 1);
    }

    /// <summary>Overwrites tensors on all ranks with those of one.</summary>
    /// <param name="root">The rank whose values all get.</param>
    /// <param name="tensors">The tensors, of the same counts and types on all ranks.</param>
    /// <exception cref="CudaException">A rank could not be reached.</exception>
    public void Broadcast(int root, params ReadOnlySpan<Tensor> tensors)
    {
        nint stream = Begin();
        string doing = $"handing tensors of rank {root} to {Count} ranks";
        _nccl.Check(_nccl.GroupStart(), doing);
        foreach (Tensor tensor in tensors)
        {
            (ulong data, nuint count) = (Own(tensor).Pointer, (nuint)tensor.Count);
            int type = NcclApi.TypeOf(tensor.DType);
            _nccl.Check(_nccl.Broadcast(data, data, count, type, root, _handle.Value, stream), doing);
            _ringBytes += (Rank + 1) % Count == root ? 0 : tensor.Bytes;
        }

        _nccl.Check(_nccl.GroupEnd(), doing);
    }

    /// <summary>
    /// Gives the group up without waiting for the other ranks, after a failure. The launcher ends them when this
    /// process does.
    /// </summary>
    public void Abort()
    {
        _handle.Aborts = true;
        _handle.Dispose();
    }

    /// <summary>Leaves the group, and waits until all ranks do. A second call does nothing.</summary>
    public void Dispose() => _handle.Dispose();

    private nint Begin()
    {
        Device.Activate();
        return Device.Stream.Handle;
    }

    private Tensor Own(Tensor tensor) =>
        tensor.Device == Device
            ? tensor
            : throw new ArgumentException($"a tensor on {tensor.Device}, expected one on {Device}", nameof(tensor));

    private void RequireShare(Tensor tensor, Tensor share)
    {
        if (tensor.Count != share.Count * Count || tensor.DType != share.DType)
        {
            throw new ArgumentException(
                $"a share of {share.Count} {share.DType} of {tensor.Count} {tensor.DType}, expected {Count} equal "
                    + "shares of one type",
                nameof(share)
            );
        }
    }
}
