using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Models.Families;

/// <summary>
/// The base of the Gemma families from the second on: four norms in a layer, a factor on scores of its own, a window in
/// some of the layers, and soft caps.
/// </summary>
internal abstract class GemmaSandwichLayout : GemmaLayout
{
    private const string ScoreScalar = "query_pre_attn_scalar"; // scores are divided by its root
    private const double DefaultScoreScalar = 256;

    /// <inheritdoc/>
    public override string ActivationKey => "hidden_activation";

    /// <inheritdoc/>
    public override IReadOnlyList<string> Keys =>
        [.. base.Keys, ScoreScalar, WindowKeys.Window, WindowKeys.LayerTypes, SoftCapKeys.Logits];

    /// <inheritdoc/>
    public override int DefaultKeyValueHeads(int heads) => 4;

    /// <inheritdoc/>
    protected override (string Attention, string FeedForward) BlockNorms =>
        ("input_layernorm", "pre_feedforward_layernorm");

    /// <inheritdoc/>
    protected override (string Attention, string FeedForward)? OutputNorms =>
        ("post_attention_layernorm", "post_feedforward_layernorm");

    /// <summary>Returns whether a layer has the window if the config does not list the layers' types.</summary>
    protected abstract bool Slides(JsonFields fields, int layer);

    /// <inheritdoc/>
    public override ModelConfig Read(JsonFields fields, ModelConfig config)
    {
        int window = WindowKeys.Read(fields);
        IReadOnlyList<bool> slides =
            WindowKeys.ReadLayers(fields, config.Layers, window)
            ?? [.. Enumerable.Range(0, config.Layers).Select(layer => Slides(fields, layer))];
        if (window == 0 && slides.Contains(true))
        {
            throw fields.Wrong(
                WindowKeys.Window,
                $"a whole number from 1, as some layers have a window where {WindowKeys.LayerTypes} is not given"
            );
        }

        double scalar = fields.Number(ScoreScalar, 1e-6, 1e6) ?? DefaultScoreScalar;
        return base.Read(fields, config) with
        {
            AttentionMultiplier = Math.Pow(scalar, -0.5),
            SlidingWindow = window,
            SlidingLayers = window == 0 ? null : slides,
        };
    }

    /// <inheritdoc/>
    public override void WriteAttention(ModelConfig config, Utf8JsonWriter json)
    {
        base.WriteAttention(config, json);
        WriteScoreScalar(config, json);
        WindowKeys.WriteLayers(config, json);
        WindowKeys.Write(config, json);
        SoftCapKeys.Write(json, SoftCapKeys.Logits, config.LogitSoftCap);
    }

    // transformers takes a whole number alone; the root and its square are off by a rounding.
    private static void WriteScoreScalar(ModelConfig config, Utf8JsonWriter json)
    {
        double scalar = config.AttentionMultiplier is { } given ? 1 / (given * given) : config.HeadDimension;
        double whole = Math.Round(scalar);
        if (Math.Abs(scalar - whole) <= 1e-12 * scalar)
            json.WriteNumber(ScoreScalar, (long)whole);
        else
            json.WriteNumber(ScoreScalar, scalar);
    }
}
