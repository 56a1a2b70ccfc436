using Spectral.Kernels;
using Spectral.Training.Autograd;

namespace Spectral.Training.Models;

/// <summary>
/// The keys and values of virtual tokens in one layer, before those of the layer's input: prefix-tuning (Li and Liang,
/// 2021). Keys are used as given, without RoPE.
/// </summary>
/// <param name="Values">The values of all layers, [n, L·2·KV·hd], each layer's keys before its values.</param>
/// <param name="Node">The node that receives their gradient; null: they do not train.</param>
/// <param name="Layer">The number of the layer.</param>
internal readonly record struct KeyValuePrefix(Tensor Values, Node? Node, int Layer)
{
    /// <summary>
    /// Computes attention of the input to the prefix and to itself. The queries of the prefix are zeros, whose results
    /// nothing reads, so that attention needs no second form.
    /// </summary>
    /// <param name="tape">The tape that records the operations.</param>
    /// <param name="settings">The sizes, with n + S positions, and tables that leave the first n as they are.</param>
    /// <param name="q">The queries before RoPE, [B·S, H·hd].</param>
    /// <param name="k">The keys before RoPE, [B·S, KV·hd].</param>
    /// <param name="v">The values, [B·S, KV·hd].</param>
    /// <param name="cache">A cache to which all n + S keys and values are appended; null: none.</param>
    /// <returns>The attended values [B·S, H·hd].</returns>
    public Variable Attend(
        Tape tape,
        in AttentionSettings settings,
        Variable q,
        Variable k,
        Variable v,
        LayerCache? cache
    )
    {
        (int batch, int count) = (settings.Batch, Values.Dim(0));
        int width = settings.KeyValueHeads * settings.HeadSize;
        using Variable query = PrependNode.ApplyZeros(tape, count, q, batch);
        using Variable key = PrependNode.Apply(tape, new(Values, 2 * Layer * width, width), Node, k, batch);
        using Variable value = PrependNode.Apply(tape, new(Values, (2 * Layer + 1) * width, width), Node, v, batch);
        using Variable all = AttentionNode.Apply(tape, settings, query, key, value, cache);
        return DropLeadingNode.Apply(tape, all, count, batch);
    }
}
