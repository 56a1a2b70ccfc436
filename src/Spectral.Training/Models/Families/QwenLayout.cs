using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Models.Families;

/// <summary>The base of the dense Qwen families: an optional sliding window in some of the layers.</summary>
internal abstract class QwenLayout : LlamaLayout
{
    private const string UseWindow = "use_sliding_window";
    private const string MaxWindowLayers = "max_window_layers";

    /// <inheritdoc/>
    public override int DefaultMaxPositions => 32768;

    /// <inheritdoc/>
    public override IReadOnlyList<string> Keys =>
        [WindowKeys.Window, UseWindow, MaxWindowLayers, WindowKeys.LayerTypes];

    /// <inheritdoc/>
    public override int DefaultKeyValueHeads(int heads) => 32;

    /// <inheritdoc/>
    public override ModelConfig Read(JsonFields fields, ModelConfig config)
    {
        int asked = WindowKeys.Read(fields);
        int window = fields.Boolean(UseWindow) ?? false ? asked : 0;
        int first = fields.Integer(MaxWindowLayers, 0, int.MaxValue) ?? 28;
        IReadOnlyList<bool> layers =
            WindowKeys.ReadLayers(fields, config.Layers, window)
            ?? [.. Enumerable.Range(0, config.Layers).Select(layer => layer >= first)];
        return config with { SlidingWindow = window, SlidingLayers = window == 0 ? null : layers };
    }

    /// <inheritdoc/>
    public override void WriteAttention(ModelConfig config, Utf8JsonWriter json)
    {
        base.WriteAttention(config, json);
        int full = Enumerable.Range(0, config.Layers).TakeWhile(layer => config.WindowOf(layer) == 0).Count();
        json.WriteBoolean(UseWindow, config.SlidingWindow > 0);
        json.WriteNumber(MaxWindowLayers, full); // what versions of transformers without layer_types read
        WindowKeys.WriteLayers(config, json);
        WindowKeys.Write(config, json);
    }
}
