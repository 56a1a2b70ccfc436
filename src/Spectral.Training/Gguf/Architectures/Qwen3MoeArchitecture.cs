using Spectral.Training.Models;

namespace Spectral.Training.Gguf.Architectures;

/// <summary>Qwen3 with experts in all layers.</summary>
internal sealed class Qwen3MoeArchitecture : GgufArchitecture
{
    /// <inheritdoc/>
    public override string Name => "qwen3moe";

    /// <inheritdoc/>
    public override IReadOnlyList<string> ModelTypes => ["qwen3_moe"];

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, string> Modules =>
        new Dictionary<string, string>(base.Modules)
        {
            ["mlp.gate"] = ExpertKeys.Router,
            ["mlp.experts.gate_proj"] = ExpertKeys.Gate,
            ["mlp.experts.down_proj"] = ExpertKeys.Down,
            ["mlp.experts.up_proj"] = ExpertKeys.Up,
        };

    /// <inheritdoc/>
    public override IEnumerable<string> Obstacles(ModelConfig config) =>
        base.Obstacles(config).Concat(ExpertKeys.Obstacles(config));

    /// <inheritdoc/>
    public override void Describe(ModelConfig config, GgufMetadata metadata)
    {
        base.Describe(config, metadata);
        ExpertKeys.Add(this, config, metadata);
    }
}
