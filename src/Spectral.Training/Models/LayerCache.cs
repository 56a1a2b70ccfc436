using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Autograd;

namespace Spectral.Training.Models;

/// <summary>The share of one layer in a <see cref="KeyValueCache"/>: keys and values [B, KV, P, hd].</summary>
public sealed class LayerCache : IDisposable
{
    private readonly Tensor _keys;
    private readonly Tensor _values;
    private readonly Tensor _offsets;
    private readonly Tensor _visible;

    internal LayerCache(Tensor keys, Tensor values, Tensor offsets, Tensor visible) =>
        (_keys, _values, _offsets, _visible) = (keys, values, offsets, visible);

    /// <summary>The rotated keys, [B, KV, P, hd].</summary>
    internal Tensor Keys => _keys;

    /// <summary>The values, [B, KV, P, hd].</summary>
    internal Tensor Values => _values;

    /// <summary>Appends rotated keys and values [B, KV, S, hd] to those of each row.</summary>
    internal void Append(Tensor key, Tensor value)
    {
        Attention.Append(key, _keys, _offsets);
        Attention.Append(value, _values, _offsets);
    }

    /// <summary>Computes attention of one new position per row, [B, H·hd] each, to everything cached.</summary>
    internal Variable Attend(in AttentionSettings settings, Variable q, Variable k, Variable v)
    {
        (int rows, int heads, int groups, int size) = (
            settings.Batch,
            settings.Heads,
            settings.KeyValueHeads,
            settings.HeadSize
        );
        (Device device, DType type) = (q.Columns.Matrix.Device, q.Columns.Matrix.DType);
        using var query = Tensor.Empty(device, (rows, heads, 1, size), type);
        using var key = Tensor.Empty(device, (rows, groups, 1, size), type);
        using Tensor own = v.Columns.Count == v.Columns.Stride ? v.Value.Share() : v.Columns.Copy();
        using Tensor value = own.View((rows, groups, 1, size));
        settings.Queries.Turn(q.Columns, _offsets, query);
        settings.Keys.Turn(k.Columns, _offsets, key);
        Append(key, value);
        var y = Tensor.Empty(device, (rows, heads * size), type);
        using Tensor flatQuery = query.View((rows, heads, size));
        using Tensor output = y.View((rows, heads, size));
        Attention.Decode(flatQuery, _keys, _values, _visible, output, settings.Window, settings.SoftCap);
        return new Variable(y);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _keys.Dispose();
        _values.Dispose();
    }
}
