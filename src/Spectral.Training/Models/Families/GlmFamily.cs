namespace Spectral.Training.Models.Families;

/// <summary>GLM-4 of 2024 in the layout of transformers (GLM team, 2024): a norm before each block.</summary>
internal sealed class GlmFamily : GlmLayout
{
    /// <inheritdoc/>
    public override string ModelType => "glm";

    /// <inheritdoc/>
    public override string Architecture => "GlmForCausalLM";

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, string> Relatives { get; } =
        new Dictionary<string, string> { ["chatglm"] = "names of tensors of its own" };
}
