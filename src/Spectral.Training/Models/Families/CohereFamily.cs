using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Models.Families;

/// <summary>
/// Command R and Command R+ (Cohere, 2024): attention to all tokens before, by position, in every layer. The larger
/// model has norms of queries and keys with weights for each head.
/// </summary>
internal sealed class CohereFamily : CohereLayout
{
    private const string HeadNorm = "use_qk_norm";

    /// <inheritdoc/>
    public override string ModelType => "cohere";

    /// <inheritdoc/>
    public override string Architecture => "CohereForCausalLM";

    /// <inheritdoc/>
    public override double DefaultRopeTheta => 500000;

    /// <inheritdoc/>
    public override IReadOnlyList<string> Keys => [.. base.Keys, HeadNorm];

    /// <inheritdoc/>
    public override ModelConfig Read(JsonFields fields, ModelConfig config)
    {
        WindowKeys.Check(fields);
        return base.Read(fields, config) with { HeadNorms = fields.Boolean(HeadNorm) ?? false };
    }

    /// <inheritdoc/>
    public override void WriteAttention(ModelConfig config, Utf8JsonWriter json)
    {
        json.WriteBoolean(HeadNorm, config.HeadNorms);
        base.WriteAttention(config, json);
    }

    /// <inheritdoc/>
    protected override (NormSpec Query, NormSpec Key)? NormsOfHeads(ModelConfig config, int layer) =>
        config.HeadNorms ? OwnNormsOfHeads(config, layer, (QueryNorm, KeyNorm), modules: false) : null;
}
