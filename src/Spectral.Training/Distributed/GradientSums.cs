using Spectral.Kernels;

namespace Spectral.Training.Distributed;

/// <summary>
/// Adds gradients over the ranks in buckets, on a second stream while backward runs. A bucket is added as soon as
/// backward has left all layers that it has gradients of.
/// </summary>
/// <remarks>
/// Buckets are added in one order on all ranks, whatever a rank computes, and cut in one way, so that the sums have the
/// same bits if backward says nothing.
/// </remarks>
internal sealed class GradientSums : IDisposable
{
    /// <summary>The layer of gradients that may change until backward has ended.</summary>
    public const int NoLayer = -1;

    /// <summary>The share of all gradients in a bucket: the last one is not hidden by backward.</summary>
    private const int Buckets = 8;

    private const int LeastBytes = 16 << 10;
    private const int MostBytes = 32 << 20;

    private readonly RankGroup _ranks;
    private readonly Action<Action>? _aside;
    private readonly Device _device;
    private readonly (Tensor Values, int Layer)[] _buckets;
    private readonly DeviceStream _side;
    private readonly DeviceEvent _final;
    private readonly DeviceEvent _added;
    private int _next;

    /// <summary>Cuts gradients into buckets.</summary>
    /// <param name="ranks">The ranks, two or more.</param>
    /// <param name="buffers">The gradients, F32 of one dimension.</param>
    /// <param name="parts">
    /// What is in them: the number of the buffer, the first element, the number of elements, and the layer, which
    /// backward leaves after all layers with a larger number.
    /// </param>
    /// <param name="aside">
    /// Runs calls between ranks beside those that gather weights during backward, as the calls of all have to be in
    /// one order. Null: every rank has all weights, and sums have a stream of their own.
    /// </param>
    public GradientSums(
        RankGroup ranks,
        IReadOnlyList<Tensor> buffers,
        IReadOnlyList<(int Buffer, int From, int Count, int Layer)> parts,
        Action<Action>? aside = null
    )
    {
        (_ranks, _aside, _device) = (ranks, aside, buffers[0].Device);
        _buckets =
        [
            .. Cut([.. buffers.Select(buffer => (int)buffer.Count)], parts)
                .Select(bucket => (buffers[bucket.Buffer].Rows(bucket.From, bucket.Count), bucket.Layer)),
        ];
        (_side, _final, _added) = (DeviceStream.Create(_device), new DeviceEvent(_device), new DeviceEvent(_device));
    }

    /// <summary>Cuts buffers into buckets, in the order in which backward completes them.</summary>
    /// <param name="lengths">The elements of each buffer.</param>
    /// <param name="parts">What is in them.</param>
    internal static IReadOnlyList<(int Buffer, int From, int Count, int Layer)> Cut(
        IReadOnlyList<int> lengths,
        IReadOnlyList<(int Buffer, int From, int Count, int Layer)> parts
    )
    {
        long bytes = Math.Clamp(lengths.Sum(length => (long)length) * sizeof(float) / Buckets, LeastBytes, MostBytes);
        int size = (int)(bytes / sizeof(float) / 64 * 64);
        var buckets = new List<(int Buffer, int From, int Count, int Layer)>();
        for (int buffer = 0; buffer < lengths.Count; buffer++)
        {
            for (int from = 0; from < lengths[buffer]; from += size)
            {
                int count = Math.Min(size, lengths[buffer] - from);
                int layer = parts
                    .Where(part => part.Buffer == buffer && part.From < from + count && part.From + part.Count > from)
                    .Select(part => part.Layer)
                    .DefaultIfEmpty(NoLayer)
                    .Min();
                buckets.Add((buffer, from, count, layer));
            }
        }

        return [.. buckets.OrderByDescending(bucket => bucket.Layer)];
    }

    /// <summary>Adds what is final once backward has left a layer and those with larger numbers.</summary>
    /// <param name="layer">The number of the layer.</param>
    public void Passed(int layer)
    {
        if (_next == _buckets.Length || _buckets[_next].Layer < layer)
            return;
        if (_aside is not null)
        {
            _aside(Add);
            return;
        }

        _final.Record();
        using IDisposable side = _device.Use(_side);
        _side.Wait(_final);
        Add();

        void Add()
        {
            for (; _next < _buckets.Length && _buckets[_next].Layer >= layer; _next++)
                _ranks.SumOne(_buckets[_next].Values);
            _added.Record();
        }
    }

    /// <summary>Adds the rest, and makes the current stream wait for all sums.</summary>
    public void Complete()
    {
        if (_next > 0)
            _device.Stream.Wait(_added);
        _ranks.Sum([.. _buckets[_next..].Select(bucket => bucket.Values)]);
        _next = 0;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach ((Tensor values, int _) in _buckets)
            values.Dispose();
        _side.Dispose();
        _final.Dispose();
        _added.Dispose();
    }
}
