using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Models.Families;

/// <summary>
/// Command A and Command R7B (Cohere team, "Command A", 2025): layers with a window turn queries and keys by their
/// positions, the others do not and see all tokens before.
/// </summary>
internal sealed class Cohere2Family : CohereLayout
{
    private const string Pattern = "sliding_window_pattern"; // every so many layers, one has no window

    /// <inheritdoc/>
    public override string ModelType => "cohere2";

    /// <inheritdoc/>
    public override string Architecture => "Cohere2ForCausalLM";

    /// <inheritdoc/>
    public override IReadOnlyList<string> Keys => [.. base.Keys, WindowKeys.Window, WindowKeys.LayerTypes, Pattern];

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, string> Relatives { get; } =
        new Dictionary<string, string> { ["cohere2_vision"] = "images as input", ["aya_vision"] = "images as input" };

    /// <inheritdoc/>
    public override ModelConfig Read(JsonFields fields, ModelConfig config)
    {
        int window = WindowKeys.Read(fields);
        int every = fields.Integer(Pattern, 1, int.MaxValue) ?? 4;
        IReadOnlyList<bool> slides =
            WindowKeys.ReadLayers(fields, config.Layers, window)
            ?? [.. Enumerable.Range(1, config.Layers).Select(layer => layer % every != 0)];
        if (window == 0 && slides.Contains(true))
            throw fields.Wrong(WindowKeys.Window, "a whole number of at least 1, as there are layers with a window");
        return base.Read(fields, config) with
        {
            SlidingWindow = window,
            SlidingLayers = window == 0 ? null : slides,
            RotaryLayers = slides,
        };
    }

    /// <inheritdoc/>
    public override void WriteAttention(ModelConfig config, Utf8JsonWriter json)
    {
        base.WriteAttention(config, json);
        WindowKeys.WriteLayers(config, json);
        WindowKeys.Write(config, json);
        // What versions of transformers without layer_types read.
        int every = 1 + Enumerable.Range(0, config.Layers).TakeWhile(layer => config.WindowOf(layer) > 0).Count();
        json.WriteNumber(Pattern, every);
    }
}
