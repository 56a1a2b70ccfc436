using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Models.Families;

/// <summary>
/// Qwen2 (Yang et al., 2024): Llama's layers with biases on q, k and v, and an optional sliding window only in the
/// upper layers.
/// </summary>
internal sealed class Qwen2Family : LlamaLayout
{
    private const string UseWindow = "use_sliding_window";
    private const string MaxWindowLayers = "max_window_layers";
    private const string LayerTypes = "layer_types";

    /// <inheritdoc/>
    public override string ModelType => "qwen2";

    /// <inheritdoc/>
    public override string Architecture => "Qwen2ForCausalLM";

    /// <inheritdoc/>
    public override int DefaultMaxPositions => 32768;

    /// <inheritdoc/>
    public override IReadOnlyList<string> Keys => [WindowKeys.Window, UseWindow, MaxWindowLayers, LayerTypes];

    /// <inheritdoc/>
    public override int DefaultKeyValueHeads(int heads) => 32;

    /// <inheritdoc/>
    public override ModelConfig Read(JsonFields fields, ModelConfig config)
    {
        int asked = WindowKeys.Read(fields);
        int window = fields.Boolean(UseWindow) ?? false ? asked : 0;
        int first = FirstWindowLayer(fields, config.Layers, window);
        return config with
        {
            QueryKeyValueBias = true,
            SlidingWindow = window,
            FirstWindowLayer = window == 0 ? 0 : first,
        };
    }

    /// <inheritdoc/>
    public override void WriteAttention(ModelConfig config, Utf8JsonWriter json)
    {
        base.WriteAttention(config, json);
        json.WriteBoolean(UseWindow, config.SlidingWindow > 0);
        json.WriteNumber(MaxWindowLayers, config.SlidingWindow > 0 ? config.FirstWindowLayer : config.Layers);
        WindowKeys.Write(config, json);
    }

    private static int FirstWindowLayer(JsonFields fields, int layers, int window)
    {
        if (fields.Texts(LayerTypes) is not { } kinds)
            return window == 0 ? 0 : Math.Min(fields.Integer(MaxWindowLayers, 0, int.MaxValue) ?? 28, layers);
        int first = kinds.TakeWhile(kind => kind == "full_attention").Count();
        if (kinds.Count != layers || kinds.Skip(first).Any(kind => kind != "sliding_attention"))
        {
            throw fields.Wrong(
                LayerTypes,
                $"{layers} entries: full_attention first, then sliding_attention (no other order is supported)"
            );
        }
        return first == layers || window > 0
            ? first
            : throw fields.Wrong(
                LayerTypes,
                $"full_attention alone, as {UseWindow} is not true or {WindowKeys.Window} is null"
            );
    }
}
