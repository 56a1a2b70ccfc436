using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Distributed.Sharding;

/// <summary>
/// The quantised matrices of a <see cref="ShardedUnit"/>: codes, scales and tables, one after another as bytes in a
/// flat buffer. Each rank keeps an equal part of the buffer, whatever it cuts.
/// </summary>
internal sealed class ShardedMatrices : IDisposable
{
    /// <summary>The bytes to which what kernels read, and the parts of the ranks, are aligned.</summary>
    private const int Alignment = 16;

    private readonly (long From, long Bytes)[][] _places;
    private readonly QuantizedMatrix?[] _forms;
    private readonly QuantizedMatrix?[] _values;
    private readonly int _start;
    private readonly int _ranks;
    private Tensor? _whole;

    /// <summary>Lays matrices out, and allocates this rank's part.</summary>
    /// <param name="device">The device of this rank.</param>
    /// <param name="parts">The bytes of each part of each matrix (<see cref="QuantizedMatrix.PartBytes"/>).</param>
    /// <param name="ranks">The ranks that keep the parts.</param>
    public ShardedMatrices(Device device, IReadOnlyList<long[]> parts, RankGroup ranks)
    {
        _places = new (long, long)[parts.Count][];
        (_forms, _values) = (new QuantizedMatrix?[parts.Count], new QuantizedMatrix?[parts.Count]);
        long length = 0;
        for (int i = 0; i < parts.Count; i++)
        {
            _places[i] = new (long, long)[parts[i].Length];
            for (int j = 0; j < parts[i].Length; j++)
            {
                _places[i][j] = (length, parts[i][j]);
                length += Aligned(parts[i][j]);
            }
        }

        int part = checked((int)Aligned((length + ranks.Count - 1) / ranks.Count));
        (_start, _ranks) = (checked(part * ranks.Rank), ranks.Count);
        Own = Tensor.Zeros(device, part, DType.U8);
    }

    /// <summary>This rank's part, U8.</summary>
    public Tensor Own { get; }

    /// <summary>Keeps this rank's part of a matrix. The caller disposes the matrix.</summary>
    /// <param name="index">The number of the matrix.</param>
    /// <param name="whole">The matrix, the same on all ranks.</param>
    public void Fill(int index, QuantizedMatrix whole)
    {
        _forms[index] = whole;
        foreach (((long from, long bytes), Tensor part) in _places[index].Zip(whole.Parts))
        {
            long first = Math.Max(from, _start);
            int count = (int)(Math.Min(from + bytes, _start + Own.Count) - first);
            if (count <= 0)
                continue;
            using Tensor all = part.As(DType.U8, checked((int)bytes));
            using Tensor source = all.Rows((int)(first - from), count);
            using Tensor target = Own.Rows((int)(first - _start), count);
            target.CopyFrom(source);
        }
    }

    /// <summary>Returns a whole matrix while all parts are here; it stays owned by this.</summary>
    public QuantizedMatrix ValueOf(int index) =>
        _values[index] ??= _forms[index]!.Over([
            .. _places[index].Select(place => _whole!.Rows(checked((int)place.From), checked((int)place.Bytes))),
        ]);

    /// <summary>Allocates the memory for all parts.</summary>
    public void Open() => _whole = Tensor.Empty(Own.Device, checked((int)Own.Count * _ranks), DType.U8);

    /// <summary>Fills the memory with the parts of all ranks, on the device's current stream.</summary>
    public void Gather(RankGroup ranks) => ranks.Gather(Own, _whole!);

    /// <summary>Frees all parts but this rank's own.</summary>
    public void Close()
    {
        foreach (QuantizedMatrix? value in _values)
            value?.Dispose();
        Array.Clear(_values);
        _whole?.Dispose();
        _whole = null;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Close();
        Own.Dispose();
    }

    private static long Aligned(long bytes) => (bytes + Alignment - 1) / Alignment * Alignment;
}
