using Spectral.Kernels;
using Spectral.Training.Data;
using Spectral.Training.Models;

namespace Spectral.Training.Adapters.Tokens;

/// <summary>
/// The tokens of a batch, each of which is a row of the input of every layer: to which record it belongs, and what all
/// layers share of it.
/// </summary>
internal sealed class TokenRows : IDisposable
{
    private readonly Device _device;
    private readonly Batch _batch;
    private readonly KeyValueCache? _cache;
    private readonly Dictionary<object, Tensor> _shared = [];
    private Tensor? _mask;
    private Tensor? _spread;
    private Tensor? _recordMeans;
    private Tensor? _promptMeans;

    /// <summary>Prepares for the forward pass of a batch.</summary>
    /// <param name="device">The device of the model.</param>
    /// <param name="batch">The batch.</param>
    /// <param name="cache">The keys and values before it; null: none.</param>
    public TokenRows(Device device, Batch batch, KeyValueCache? cache) =>
        (_device, _batch, _cache) = (device, batch, cache);

    /// <summary>The number of routers of the adapter, over which their loss is a mean.</summary>
    public int Routers { get; init; } = 1;

    /// <summary>The part of routers in the loss of the batch.</summary>
    public BalanceWeight Balance { get; init; }

    /// <summary>
    /// Collects the load of routers; null once the pass is over, after which layers may be run again.
    /// </summary>
    public RouterLoads? Loads { get; set; }

    /// <summary>The number of tokens with padding, N.</summary>
    public int Count => _batch.Tokens.Length;

    /// <summary>The number of tokens without padding.</summary>
    public int RealCount => _batch.RecordLengths.Count(length => length > 0);

    /// <summary>Whether the rows go on with what a cache has.</summary>
    public bool Continues => _cache is { Length: > 0 };

    /// <summary>1 for each token and 0 for padding, [N] F32.</summary>
    public Tensor Mask =>
        _mask ??= Tensor.From(_device, Array.ConvertAll(_batch.RecordLengths, length => length > 0 ? 1f : 0f), Count);

    /// <summary>Whether the pass begins what tokens go on with later.</summary>
    public bool IsCached => _cache is not null;

    /// <summary>1 where a token is of a record, [N, records] F32.</summary>
    public Tensor RecordSpread => _spread ??= Tensor.From(_device, Spread(), (Count, Math.Max(1, Records.Count())));

    /// <summary>Takes means over the tokens of each record, [records, N] F32.</summary>
    public Tensor RecordMeans => _recordMeans ??= Means((_, length) => length);

    /// <summary>Takes means over the tokens of the prompt of each record, [records, N] F32.</summary>
    public Tensor PromptMeans => _promptMeans ??= Means((first, _) => _batch.PromptLengths[first]);

    /// <summary>The records: the first token of each, and their number.</summary>
    public IEnumerable<(int First, int Count)> Records
    {
        get
        {
            for (int at = 0; at < Count; at += Math.Max(1, _batch.RecordLengths[at]))
            {
                if (_batch.RecordLengths[at] > 0)
                    yield return (at, _batch.RecordLengths[at]);
            }
        }
    }

    /// <summary>
    /// Returns numbers for each token that depend on the tokens of its record alone, [N, count] F32. They are computed
    /// once for all layers.
    /// </summary>
    /// <param name="key">What distinguishes these numbers from others.</param>
    /// <param name="count">The numbers of a token.</param>
    /// <param name="ofRecord">Computes the numbers [tokens, count] of a record from its tokens.</param>
    /// <param name="continues">
    /// Whether tokens after a prompt have the numbers of its last token; otherwise theirs are 0.
    /// </param>
    /// <returns>The numbers, which belong to this object.</returns>
    public Tensor Shared(object key, int count, RecordNumbers ofRecord, bool continues)
    {
        if (_shared.TryGetValue(key, out Tensor? known))
            return known;
        float[] values = new float[Count * count];
        if (Continues)
        {
            // The model's prompt was computed without this adapter where nothing is known of it.
            (_cache!.Kept.GetValueOrDefault(key) ?? values).CopyTo(values, 0);
        }
        else
        {
            float[] last = new float[_batch.Rows * count];
            foreach ((int first, int length) in Records)
            {
                float[] own = ofRecord(_batch.Tokens.AsSpan(first, length), _batch.PromptLengths[first]);
                own.CopyTo(values, first * count);
                own.AsSpan((length - 1) * count, count).CopyTo(last.AsSpan(first / _batch.Length * count));
            }
            if (_cache is not null && continues)
                _cache.Kept[key] = last;
        }
        var numbers = Tensor.From(_device, values, (Count, count));
        _shared.Add(key, numbers);
        return numbers;
    }

    /// <summary>Keeps numbers of the last token of each row for the tokens after it. Waits for the device.</summary>
    /// <param name="key">What distinguishes these numbers from others.</param>
    /// <param name="numbers">The numbers [N, count] F32.</param>
    public void Keep(object key, Tensor numbers)
    {
        int count = numbers.Dim(1);
        float[] all = numbers.ToArray();
        float[] last = new float[_batch.Rows * count];
        foreach ((int first, int length) in Records)
        {
            all.AsSpan((first + length - 1) * count, count).CopyTo(last.AsSpan(first / _batch.Length * count));
        }
        _cache!.Kept[key] = last;
    }

    /// <summary>Returns the numbers that were kept of each row, 0 where none were, [N, count] F32.</summary>
    /// <param name="key">What distinguishes these numbers from others.</param>
    /// <param name="count">The numbers of a row.</param>
    public Tensor KeptOf(object key, int count) =>
        Tensor.From(_device, _cache!.Kept.GetValueOrDefault(key) ?? new float[Count * count], (Count, count));

    private float[] Spread()
    {
        (int First, int Count)[] records = [.. Records];
        float[] values = new float[Count * Math.Max(1, records.Length)];
        for (int record = 0; record < records.Length; record++)
        {
            for (int i = 0; i < records[record].Count; i++)
                values[((records[record].First + i) * records.Length) + record] = 1;
        }

        return values;
    }

    private Tensor Means(Func<int, int, int> counted)
    {
        (int First, int Count)[] records = [.. Records];
        float[] values = new float[Count * Math.Max(1, records.Length)];
        for (int record = 0; record < records.Length; record++)
        {
            (int first, int length) = records[record];
            int tokens = counted(first, length);
            values.AsSpan((record * Count) + first, tokens).Fill(1f / tokens);
        }

        return Tensor.From(_device, values, (Math.Max(1, records.Length), Count));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _mask?.Dispose();
        _spread?.Dispose();
        _recordMeans?.Dispose();
        _promptMeans?.Dispose();
        foreach (Tensor tensor in _shared.Values)
            tensor.Dispose();
        _shared.Clear();
    }
}
