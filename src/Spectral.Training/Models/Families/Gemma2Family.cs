using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Models.Families;

/// <summary>
/// Gemma 2 (Gemma team, "Gemma 2: Improving Open Language Models at a Practical Size", 2024): a window in every other
/// layer from the first on, soft caps on scores and logits.
/// </summary>
internal sealed class Gemma2Family : GemmaSandwichLayout
{
    /// <inheritdoc/>
    public override string ModelType => "gemma2";

    /// <inheritdoc/>
    public override string Architecture => "Gemma2ForCausalLM";

    /// <inheritdoc/>
    public override IReadOnlyList<string> Keys => [.. base.Keys, SoftCapKeys.Attention];

    /// <inheritdoc/>
    public override ModelConfig Read(JsonFields fields, ModelConfig config) =>
        base.Read(fields, config) with
        {
            AttentionSoftCap = SoftCapKeys.Read(fields, SoftCapKeys.Attention, 50),
            LogitSoftCap = SoftCapKeys.Read(fields, SoftCapKeys.Logits, 30),
        };

    /// <inheritdoc/>
    public override void WriteAttention(ModelConfig config, Utf8JsonWriter json)
    {
        base.WriteAttention(config, json);
        SoftCapKeys.Write(json, SoftCapKeys.Attention, config.AttentionSoftCap);
    }

    /// <inheritdoc/>
    protected override bool Slides(JsonFields fields, int layer) => layer % 2 == 0;
}
