using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Models.Families;

/// <summary>
/// SmolLM3 (Bakouch et al., 2025): Llama's layers, some of which do not turn queries and keys by their positions (Yang
/// et al., "Rope to Nope and Back Again", 2025).
/// </summary>
internal sealed class SmolLm3Family : LlamaLayout
{
    private const string UseWindow = "use_sliding_window";
    private const string RotaryLayers = "no_rope_layers"; // 1 where a layer does turn them
    private const string Interval = "no_rope_layer_interval";

    /// <inheritdoc/>
    public override string ModelType => "smollm3";

    /// <inheritdoc/>
    public override string Architecture => "SmolLM3ForCausalLM";

    /// <inheritdoc/>
    public override int DefaultMaxPositions => 32768;

    /// <inheritdoc/>
    public override int? DefaultEosTokenId => 128001;

    /// <inheritdoc/>
    public override double DefaultRopeTheta => 2e6;

    /// <inheritdoc/>
    public override bool TiesByDefault => true;

    /// <inheritdoc/>
    public override IReadOnlyList<string> Keys =>
        [BiasKeys.Attention, BiasKeys.Mlp, WindowKeys.Window, UseWindow, WindowKeys.LayerTypes, RotaryLayers, Interval];

    /// <inheritdoc/>
    public override int DefaultKeyValueHeads(int heads) => 4;

    /// <inheritdoc/>
    public override ModelConfig Read(JsonFields fields, ModelConfig config)
    {
        int asked = fields.Integer(WindowKeys.Window, 0, int.MaxValue) ?? 0;
        int window = fields.Boolean(UseWindow) ?? false ? asked : 0;
        bool[] rotates = Rotates(fields, config.Layers);
        IReadOnlyList<bool> slides =
            WindowKeys.ReadLayers(fields, config.Layers, window) ?? Array.ConvertAll(rotates, turns => !turns);
        return BiasKeys.Read(fields, config) with
        {
            RotaryLayers = rotates,
            SlidingWindow = window,
            SlidingLayers = window == 0 ? null : slides,
        };
    }

    /// <inheritdoc/>
    public override void WriteAttention(ModelConfig config, Utf8JsonWriter json)
    {
        BiasKeys.Write(config, json);
        base.WriteAttention(config, json);
        json.WriteStartArray(RotaryLayers);
        for (int layer = 0; layer < config.Layers; layer++)
            json.WriteNumberValue(config.Rotates(layer) ? 1 : 0);
        json.WriteEndArray();
        json.WriteBoolean(UseWindow, config.SlidingWindow > 0);
        WindowKeys.WriteLayers(config, json);
        WindowKeys.Write(config, json);
    }

    private static bool[] Rotates(JsonFields fields, int layers)
    {
        int interval = fields.Integer(Interval, 1, int.MaxValue) ?? 4;
        if (fields.IntegerOrList(RotaryLayers, 0, 1) is not { } turns)
            return [.. Enumerable.Range(1, layers).Select(layer => layer % interval != 0)];
        return turns.Count >= layers
            ? [.. turns.Take(layers).Select(turn => turn == 1)]
            : throw fields.Wrong(RotaryLayers, $"{layers} entries, each 0 or 1");
    }
}
