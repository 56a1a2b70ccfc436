using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Autograd;

namespace Spectral.Training.Models;

/// <summary>
/// Keys and values of every layer for the positions decoded so far, so that a new token costs one row. All rows are
/// equally long.
/// </summary>
public sealed class KeyValueCache : IDisposable
{
    private readonly LayerCache[] _layers;
    private readonly int _rows;
    private readonly Tensor _offsets;
    private readonly Tensor _visible;

    /// <summary>Room for <paramref name="capacity"/> positions in each of <paramref name="rows"/> rows.</summary>
    public KeyValueCache(CausalLanguageModel model, int rows, int capacity)
    {
        ModelConfig config = model.Config;
        Capacity = capacity;
        _rows = rows;
        _offsets = Tensor.Zeros(model.Device, rows, DType.I32);
        _visible = Tensor.Zeros(model.Device, rows, DType.I32);
        Shape shape = (rows, config.KeyValueHeads, capacity, config.HeadDimension);
        _layers = new LayerCache[config.Layers];
        for (int i = 0; i < _layers.Length; i++)
        {
            var keys = Tensor.Zeros(model.Device, shape, model.DType);
            _layers[i] = new LayerCache(keys, Tensor.Zeros(model.Device, shape, model.DType), _offsets, _visible);
        }
    }

    /// <summary>Positions per row.</summary>
    public int Capacity { get; }

    /// <summary>Positions filled.</summary>
    public int Length { get; private set; }

    internal LayerCache this[int layer] => _layers[layer];

    /// <summary>
    /// Before a forward: checks that its positions fit, and says where they go and how many a single new position will
    /// see.
    /// </summary>
    /// <exception cref="ArgumentException">They do not fit.</exception>
    internal void Begin(int rows, int positions)
    {
        if (rows != _rows || Length + positions > Capacity || (Length > 0 && positions > 1))
        {
            throw new ArgumentException(
                $"{rows} rows of {positions} more positions; the cache has {_rows} rows with {Length} of "
                    + $"{Capacity} filled and then takes one at a time"
            );
        }

        int[] lengths = new int[_rows];
        Array.Fill(lengths, Length);
        _offsets.CopyFrom(lengths);
        Array.Fill(lengths, Length + 1);
        _visible.CopyFrom(lengths);
    }

    /// <summary>After a forward.</summary>
    internal void Advance(int positions) => Length += positions;

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (LayerCache layer in _layers)
            layer.Dispose();
        _offsets.Dispose();
        _visible.Dispose();
    }
}

/// <summary>One layer's part of a <see cref="KeyValueCache"/>: keys and values [B, KV, P, hd].</summary>
public sealed class LayerCache : IDisposable
{
    private readonly Tensor _keys;
    private readonly Tensor _values;
    private readonly Tensor _offsets;
    private readonly Tensor _visible;

    internal LayerCache(Tensor keys, Tensor values, Tensor offsets, Tensor visible) =>
        (_keys, _values, _offsets, _visible) = (keys, values, offsets, visible);

    /// <summary>Writes rotated keys and values [B, KV, S, hd] behind what each row already holds.</summary>
    internal void Append(Tensor key, Tensor value)
    {
        Attention.Append(key, _keys, _offsets);
        Attention.Append(value, _values, _offsets);
    }

    /// <summary>One new position per row, [B, H·hd] each, against everything cached.</summary>
    internal Variable Attend(in AttentionSettings settings, Variable q, Variable k, Variable v)
    {
        (int rows, int heads, int groups, int size) = (
            settings.Batch,
            settings.Heads,
            settings.KeyValueHeads,
            settings.HeadSize
        );
        (Device device, DType type) = (q.Value.Device, q.Value.DType);
        using var query = Tensor.Empty(device, (rows, heads, 1, size), type);
        using var key = Tensor.Empty(device, (rows, groups, 1, size), type);
        using Tensor value = v.Value.View((rows, groups, 1, size));
        Rope.Forward(q.Value, settings.Cosine, settings.Sine, _offsets, query);
        Rope.Forward(k.Value, settings.Cosine, settings.Sine, _offsets, key);
        Append(key, value);
        var y = Tensor.Empty(device, q.Value.Shape, type);
        using Tensor flatQuery = query.View((rows, heads, size));
        using Tensor output = y.View((rows, heads, size));
        Attention.Decode(flatQuery, _keys, _values, _visible, output, settings.Window);
        return new Variable(y);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _keys.Dispose();
        _values.Dispose();
    }
}
