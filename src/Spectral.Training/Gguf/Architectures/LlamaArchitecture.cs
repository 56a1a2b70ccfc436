using Spectral.Training.Models;

namespace Spectral.Training.Gguf.Architectures;

/// <summary>Llama, Mistral, and Mixtral with its experts.</summary>
internal sealed class LlamaArchitecture : GgufArchitecture
{
    /// <inheritdoc/>
    public override string Name => "llama";

    /// <inheritdoc/>
    public override IReadOnlyList<string> ModelTypes => ["llama", "mistral", "mixtral"];

    /// <inheritdoc/>
    public override bool PairsRows => true;

    /// <inheritdoc/>
    public override bool ReadsAngleDivisors => true;

    /// <inheritdoc/>
    protected override bool TakesOutputBias => true;

    /// <inheritdoc/>
    protected override bool TakesMlpBias => true;

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, string> Modules =>
        new Dictionary<string, string>(base.Modules)
        {
            ["block_sparse_moe.gate"] = ExpertKeys.Router,
            ["block_sparse_moe.experts.w1"] = ExpertKeys.Gate,
            ["block_sparse_moe.experts.w2"] = ExpertKeys.Down,
            ["block_sparse_moe.experts.w3"] = ExpertKeys.Up,
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
