using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Autograd;

namespace Spectral.Training.Models;

/// <summary>
/// Self-attention, causal unless the settings say that queries see ahead, with rotary positions and grouped key/value
/// heads: q [B·S, H·hd], k and v [B·S, KV·hd] → [B·S, H·hd].
/// </summary>
/// <remarks>
/// Scores are scaled by 1/√hd, then capped where the settings say so. Right padding needs no mask, because a causal row
/// never sees what is to its right. The fused variant (<see cref="Attention.Choose"/>) keeps the rotated q and k and
/// one number per row, and shares v and the output with the projections. The composed variant, which alone sees ahead,
/// keeps copies of q, k and
/// v and the S × S probabilities.
/// </remarks>
public sealed class AttentionNode : Node
{
    private readonly AttentionSettings _settings;
    private readonly Node? _queryNode;
    private readonly Node? _keyNode;
    private readonly Node? _valueNode;
    private readonly Tensor _query;
    private readonly Tensor _key;
    private readonly ColumnRange _value;
    private readonly Tensor _statistics;
    private readonly ColumnRange? _output;
    private readonly Tensor? _spans;

    /// <summary>
    /// Saves the values for backward. With an output these are those of the fused variant; without, those of the
    /// composed variant, whose statistics are the probabilities.
    /// </summary>
    private AttentionNode(
        AttentionSettings settings,
        Variable q,
        Variable k,
        Variable v,
        Tensor query,
        Tensor key,
        ColumnRange value,
        Tensor statistics,
        ColumnRange? output
    )
    {
        _settings = settings;
        (_queryNode, _keyNode, _valueNode) = (q.Node, k.Node, v.Node);
        _query = Save(query);
        _key = Save(key);
        _value = Save(value);
        _statistics = Save(statistics);
        _spans = settings.Spans is { } spans ? Save(spans) : null;
        _output = output is { } kept ? new ColumnRange?(Save(kept)) : null;
    }

    /// <summary>Computes attention within each row of the batch, or within each of the records of a row.</summary>
    /// <param name="tape">The tape that records the operation.</param>
    /// <param name="settings">The sizes, the window and the RoPE tables.</param>
    /// <param name="q">The queries before RoPE, [B·S, H·hd].</param>
    /// <param name="k">The keys before RoPE, [B·S, KV·hd].</param>
    /// <param name="v">The values, [B·S, KV·hd].</param>
    /// <param name="cache">A cache to which rotated keys and values are appended; null: none.</param>
    public static Variable Apply(
        Tape tape,
        in AttentionSettings settings,
        Variable q,
        Variable k,
        Variable v,
        LayerCache? cache = null
    ) => Apply(tape, settings, q, k, v, cache, q.Columns.Count);

    /// <summary>
    /// Does the same with result rows <paramref name="stride"/> elements apart, so that the next operation can append
    /// columns to them.
    /// </summary>
    internal static Variable Apply(
        Tape tape,
        in AttentionSettings settings,
        Variable q,
        Variable k,
        Variable v,
        LayerCache? cache,
        int stride
    )
    {
        (int batch, int length, int heads, int groups, int size) = (
            settings.Batch,
            settings.Length,
            settings.Heads,
            settings.KeyValueHeads,
            settings.HeadSize
        );
        (Device device, DType type) = (tape.Device, q.Columns.Matrix.DType);
        using var query = Tensor.Empty(device, (batch, heads, length, size), type);
        using var key = Tensor.Empty(device, (batch, groups, length, size), type);
        settings.Queries.Turn(q.Columns, null, query, settings.Spans);
        settings.Keys.Turn(k.Columns, null, key, settings.Spans);
        bool fused = !settings.SeesAhead && Attention.Choose(device, type, size) == AttentionVariant.Fused;
        using Tensor? split = fused && cache is null ? null : Tensor.Empty(device, key.Shape, type);
        if (split is not null)
            Heads.Split(v.Columns, split);
        cache?.Append(key, split!);
        var y = new ColumnRange(Tensor.Empty(device, (batch * length, stride), type), 0, heads * size);
        bool records = tape.Records && (q.Node is not null || k.Node is not null || v.Node is not null);
        if (fused)
        {
            using var lse = Tensor.Empty(device, (batch, heads, length));
            FlashAttention.Forward(query, key, v.Columns, y, lse, settings.Window, settings.SoftCap, settings.Spans);
            return new Variable(
                y,
                records ? tape.Record(new AttentionNode(settings, q, k, v, query, key, v.Columns, lse, y)) : null
            );
        }
        using var probabilities = Tensor.Empty(device, (batch, heads, length, length), type);
        using var attended = Tensor.Empty(device, query.Shape, type);
        Attention.Forward(
            query,
            key,
            split!,
            probabilities,
            attended,
            settings.Window,
            settings.SoftCap,
            settings.Spans,
            settings.SeesAhead
        );
        Heads.Merge(attended, y);
        return new Variable(
            y,
            records ? tape.Record(new AttentionNode(settings, q, k, v, query, key, split!, probabilities, null)) : null
        );
    }

    /// <summary>Runs the backward of the variant that forward used.</summary>
    protected override void Backward(Tensor gradient)
    {
        (Device device, DType type) = (gradient.Device, gradient.DType);
        using var dQuery = Tensor.Empty(device, _query.Shape, type);
        using var dKey = Tensor.Empty(device, _key.Shape, type);
        ColumnRange dValue = Place(_valueNode, gradient.Dim(0), _settings.KeyValueHeads * _settings.HeadSize, gradient);
        if (_output is { } output)
        {
            FlashAttention.Backward(
                _query,
                _key,
                _value,
                output,
                _statistics,
                gradient,
                new FlashAttentionGradients(dQuery, dKey, dValue),
                _settings.Window,
                _settings.SoftCap,
                _spans
            );
        }
        else
        {
            using var dAttended = Tensor.Empty(device, _query.Shape, type);
            using var dv = Tensor.Empty(device, _key.Shape, type);
            Heads.Split(gradient, dAttended);
            Attention.Backward(
                _query,
                _key,
                _value.Matrix,
                _statistics,
                dAttended,
                dQuery,
                dKey,
                dv,
                _settings.Window,
                _settings.SoftCap,
                _spans,
                _settings.SeesAhead
            );
            Heads.Merge(dv, dValue);
        }
        Unrotate(_queryNode, dQuery, _settings.Heads, _settings.Queries);
        Unrotate(_keyNode, dKey, _settings.KeyValueHeads, _settings.Keys);
        Deposit(_valueNode, dValue);
    }

    private void Unrotate(Node? node, Tensor rotated, int heads, RotaryTable table)
    {
        if (node is null)
            return;
        ColumnRange dx = Place(node, _settings.Batch * _settings.Length, heads * _settings.HeadSize, rotated);
        table.TurnBack(rotated, dx, _spans);
        Deposit(node, dx);
    }
}
