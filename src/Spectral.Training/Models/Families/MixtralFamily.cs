using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Models.Families;

/// <summary>
/// Mixtral (Jiang et al., "Mixtral of Experts", 2024): Mistral's layers with a mixture of experts in each.
/// </summary>
internal sealed class MixtralFamily : ExpertLayout
{
    /// <inheritdoc/>
    public override string ModelType => "mixtral";

    /// <inheritdoc/>
    public override string Architecture => "MixtralForCausalLM";

    /// <inheritdoc/>
    public override int DefaultMaxPositions => 131072;

    /// <inheritdoc/>
    public override int? DefaultEosTokenId => 2;

    /// <inheritdoc/>
    public override double DefaultNormEpsilon => 1e-5;

    /// <inheritdoc/>
    public override double DefaultRopeTheta => 1e6;

    /// <inheritdoc/>
    public override string DefaultTokenizerClass => "LlamaTokenizer";

    /// <inheritdoc/>
    public override IReadOnlyList<string> Keys => [.. base.Keys, WindowKeys.Window];

    /// <inheritdoc/>
    public override string FeedForwardOutput => ExpertModules.Down;

    /// <inheritdoc/>
    protected override string CountKey => "num_local_experts";

    /// <inheritdoc/>
    protected override int DefaultCount => 8;

    /// <inheritdoc/>
    protected override int DefaultPerToken => 2;

    /// <inheritdoc/>
    protected override string Mixture => "block_sparse_moe";

    /// <inheritdoc/>
    protected override (string Gate, string Up, string Down) ExpertModules => ("w1", "w3", "w2");

    /// <inheritdoc/>
    public override int DefaultKeyValueHeads(int heads) => 8;

    /// <inheritdoc/>
    public override ModelConfig Read(JsonFields fields, ModelConfig config)
    {
        ModelConfig read = base.Read(fields, config);
        return read with
        {
            Experts = read.Experts! with { NormalisesWeights = true },
            SlidingWindow = fields.Integer(WindowKeys.Window, 0, int.MaxValue) ?? 0,
        };
    }

    /// <inheritdoc/>
    public override void WriteAttention(ModelConfig config, Utf8JsonWriter json)
    {
        base.WriteAttention(config, json);
        WindowKeys.Write(config, json);
    }
}
