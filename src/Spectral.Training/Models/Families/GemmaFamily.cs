using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Models.Families;

/// <summary>Gemma (Gemma team, "Gemma: Open Models Based on Gemini Research and Technology", 2024).</summary>
internal sealed class GemmaFamily : GemmaLayout
{
    private const string NewActivation = "hidden_activation"; // takes precedence over the key of other families

    /// <inheritdoc/>
    public override string ModelType => "gemma";

    /// <inheritdoc/>
    public override string Architecture => "GemmaForCausalLM";

    /// <inheritdoc/>
    public override IReadOnlyList<string> Keys => [.. base.Keys, NewActivation];

    /// <inheritdoc/>
    public override int DefaultKeyValueHeads(int heads) => 16;

    /// <inheritdoc/>
    public override ModelConfig Read(JsonFields fields, ModelConfig config)
    {
        WindowKeys.Check(fields);
        return base.Read(fields, config) with
        {
            Activation = fields.Has(NewActivation)
                ? ActivationNames.Read(fields, NewActivation, this)
                : config.Activation,
        };
    }

    /// <inheritdoc/>
    public override void WriteAttention(ModelConfig config, Utf8JsonWriter json)
    {
        base.WriteAttention(config, json);
        ActivationNames.Write(config, NewActivation, json);
    }
}
