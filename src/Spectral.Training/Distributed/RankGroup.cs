using System.Runtime.InteropServices;
using System.Text;
using Spectral.Kernels;
using Spectral.Kernels.Collectives;
using Spectral.Training.IO;

namespace Spectral.Training.Distributed;

/// <summary>
/// Represents the processes that train one model together, each with a device and its share of every batch. A process
/// that trains alone is a group of one, for which all methods do nothing.
/// </summary>
/// <remarks>All ranks call the same methods in the same order.</remarks>
/// <example>
/// <code>
/// // The same program, started by mpirun -n 4:
/// var launch = RankLaunch.From(Environment.GetEnvironmentVariable);
/// using RankGroup ranks = RankGroup.Join(device, launch);
/// using Trainer trainer = new(model, new TrainerOptions(), ranks: ranks);
/// trainer.Run(records); // of each batch this rank computes its share
/// </code>
/// </example>
public sealed class RankGroup : IDisposable
{
    /// <summary>The bytes of a bucket: enough that a message is worth its delay.</summary>
    private const long BucketBytes = 32 << 20;

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);

    private readonly Communicator? _communicator;

    private RankGroup(int rank, int count, Communicator? communicator) =>
        (Rank, Count, _communicator) = (rank, count, communicator);

    /// <summary>The group of a process that trains alone.</summary>
    public static RankGroup Alone { get; } = new(0, 1, null);

    /// <summary>
    /// Stands for a group whose calls move nothing and return what this rank says, for a device that computes nothing
    /// (<see cref="Device.Rehearse"/>).
    /// </summary>
    /// <param name="count">The number of ranks. This one is the last, whose share of some items is the largest.</param>
    internal static RankGroup Rehearse(int count) => count == 1 ? Alone : new(count - 1, count, null);

    /// <summary>The number of this process, from 0.</summary>
    public int Rank { get; }

    /// <summary>The number of processes.</summary>
    public int Count { get; }

    /// <summary>Whether this is the process that writes and prints.</summary>
    public bool IsFirst => Rank == 0;

    /// <summary>The bytes that this process has sent to others so far (<see cref="Communicator.BytesSent"/>).</summary>
    public long BytesSent => _communicator?.BytesSent ?? 0;

    /// <summary>Runs before each call that all ranks make at the same point; null: nothing does.</summary>
    internal Action? BeforeCall { get; set; }

    /// <summary>Connects the processes that a launcher started, and waits until all are there.</summary>
    /// <param name="device">The device of this process.</param>
    /// <param name="launch">Which process this is.</param>
    /// <exception cref="InputException">The launcher does not suit the device, or not all ranks came.</exception>
    /// <exception cref="DllNotFoundException">The library that moves data between ranks is missing.</exception>
    /// <exception cref="Kernels.Driver.CudaException">The ranks could not connect.</exception>
    public static RankGroup Join(Device device, RankLaunch launch)
    {
        if (launch.Count == 1)
            return Alone;
        return new RankGroup(
            launch.Rank,
            launch.Count,
            new Communicator(device, IdFor(device, launch), launch.Rank, launch.Count)
        );
    }

    /// <summary>
    /// Returns this rank's part of some items: ranks have consecutive parts, whose sizes differ by one at most.
    /// </summary>
    public ReadOnlySpan<T> Share<T>(ReadOnlySpan<T> items)
    {
        int from = (int)((long)items.Length * Rank / Count);
        return items[from..(int)((long)items.Length * (Rank + 1) / Count)];
    }

    /// <summary>Returns the most items that a rank gets of some.</summary>
    public int LargestShare(int items) => (items + Count - 1) / Count;

    /// <summary>
    /// Replaces tensors by their sums over all ranks, on the device's stream, in buckets. All ranks get the same bits.
    /// </summary>
    public void Sum(IReadOnlyList<Tensor> tensors)
    {
        if (_communicator is null)
            return;
        BeforeCall?.Invoke();
        foreach (Tensor tensor in tensors)
        {
            using Tensor all = tensor.View(checked((int)tensor.Count));
            int length = (int)(BucketBytes / tensor.DType.Size());
            for (int from = 0; from < all.Count; from += length)
            {
                using Tensor bucket = all.Rows(from, (int)Math.Min(length, all.Count - from));
                _communicator.Sum(bucket);
            }
        }
    }

    /// <summary>Replaces numbers by their sums over all ranks, and waits for them.</summary>
    public void Sum(Span<double> values)
    {
        if (_communicator is null)
            return;
        BeforeCall?.Invoke();
        using var tensor = Tensor.Empty(_communicator.Device, values.Length, DType.F64);
        tensor.CopyFrom(MemoryMarshal.AsBytes(values));
        _communicator.Sum(tensor);
        tensor.CopyTo(MemoryMarshal.AsBytes(values));
    }

    /// <summary>Returns whether a condition holds on any rank.</summary>
    public bool Any(bool condition)
    {
        if (_communicator is null)
            return condition;
        Span<double> count = [condition ? 1 : 0];
        Sum(count);
        return count[0] > 0;
    }

    /// <summary>Overwrites tensors with those of the first rank.</summary>
    public void FollowFirst(IReadOnlyList<Tensor> tensors)
    {
        if (_communicator is null)
            return;
        BeforeCall?.Invoke();
        _communicator.Broadcast(0, [.. tensors]);
    }

    /// <summary>Returns the text of every rank, by rank.</summary>
    public string[] Gather(string text)
    {
        if (_communicator is null)
            return [.. Enumerable.Repeat(text, Count)];
        BeforeCall?.Invoke();
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        int[] lengths = Gather([bytes.Length]);
        // In whole words, all as long as the longest.
        int[] words = new int[lengths.Max() / sizeof(int) + 1];
        bytes.CopyTo(MemoryMarshal.AsBytes(words.AsSpan()));
        int[] all = Gather(words);
        string[] texts = new string[Count];
        for (int rank = 0; rank < Count; rank++)
        {
            Span<byte> own = MemoryMarshal.AsBytes(all.AsSpan(rank * words.Length, words.Length));
            texts[rank] = Encoding.UTF8.GetString(own[..lengths[rank]]);
        }

        return texts;
    }

    /// <summary>
    /// Joins the parts of all ranks, in their order, without <see cref="BeforeCall"/>, on the device's current stream.
    /// </summary>
    /// <param name="part">This rank's part, K elements.</param>
    /// <param name="whole">Receives all, K elements of each rank.</param>
    internal void Gather(Tensor part, Tensor whole) => _communicator?.Gather(part, whole);

    /// <summary>
    /// Adds tensors of all ranks and leaves each its part of the sum, without <see cref="BeforeCall"/>.
    /// </summary>
    /// <param name="whole">K elements for each rank, in their order.</param>
    /// <param name="part">Receives this rank's K elements of the sum.</param>
    internal void SumToShares(Tensor whole, Tensor part) => _communicator?.SumToShares(whole, part);

    /// <summary>
    /// Returns the request of the first rank that has one, on all ranks, without <see cref="BeforeCall"/>; -1 if none
    /// has.
    /// </summary>
    /// <param name="request">The number of what this rank asks for, from 0; -1: nothing.</param>
    internal int Agree(int request) =>
        _communicator is null ? request : Gather([request]).FirstOrDefault(other => other >= 0, -1);

    /// <summary>
    /// Replaces a tensor by its sum over all ranks, without <see cref="BeforeCall"/>, on the device's current stream.
    /// </summary>
    internal void SumOne(Tensor tensor) => _communicator?.Sum(tensor);

    /// <summary>Gives the group up after a failure, without waiting for the other ranks.</summary>
    public void Abort() => _communicator?.Abort();

    /// <summary>Leaves the group when all ranks do.</summary>
    public void Dispose() => _communicator?.Dispose();

    private int[] Gather(int[] own)
    {
        Device device = _communicator!.Device;
        using var share = Tensor.From(device, own, own.Length);
        using var all = Tensor.Empty(device, own.Length * Count, DType.I32);
        _communicator.Gather(share, all);
        return all.ToInt32Array();
    }

    private static CommunicatorId IdFor(Device device, RankLaunch launch)
    {
        if (launch.Master is null)
            return CommunicatorId.OverMpi(device, launch.Rank);
        if (device.Kind == DeviceKind.Cpu)
        {
            throw new InputException(
                "RANK and WORLD_SIZE are set, and the ranks of the CPU device connect by MPI: expected mpirun or srun, "
                    + "or a GPU"
            );
        }

        CommunicatorId id = launch.IsFirst ? CommunicatorId.Create(device) : default;
        Rendezvous.Exchange(launch, id, Patience);
        return id;
    }
}
