using Spectral.Training.IO;

namespace Spectral.Training.Models.Families;

/// <summary>Command R (Cohere, 2024): attention to all tokens before, by position, in every layer.</summary>
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
        return fields.Boolean(HeadNorm) ?? false
            ? throw fields.Wrong(HeadNorm, "false: norms with weights for each head are not supported")
            : base.Read(fields, config);
    }
}
