using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Models.Families;

/// <summary>
/// Phi-1, Phi-1.5 and Phi-2 (Li et al., "Textbooks Are All You Need II", 2023): attention and a feed-forward layer
/// without a gate that read the same layer norm, biases on all linear layers and on the head, and heads of which a part
/// turns.
/// </summary>
internal sealed class PhiFamily : PlainLayout
{
    private const string HeadNorm = "qk_layernorm";
    private const string Up = "mlp.fc1";
    private const string Down = "mlp.fc2";

    /// <inheritdoc/>
    public override string ModelType => "phi";

    /// <inheritdoc/>
    public override string Architecture => "PhiForCausalLM";

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, string> Relatives { get; } =
        new Dictionary<string, string>
        {
            ["phi-msft"] = "a fused projection under names of its own; convert the folder to phi",
            ["mixformer-sequential"] = "a fused projection under names of its own; convert the folder to phi",
        };

    /// <inheritdoc/>
    public override int DefaultMaxPositions => 2048;

    /// <inheritdoc/>
    public override int? DefaultEosTokenId => 2;

    /// <inheritdoc/>
    public override string NormEpsilonKey => "layer_norm_eps";

    /// <inheritdoc/>
    public override double? DefaultPartialRotaryFactor => 0.5;

    /// <inheritdoc/>
    public override IReadOnlyList<string> Keys => [HeadNorm];

    /// <inheritdoc/>
    public override string FinalNorm => "model.final_layernorm";

    /// <inheritdoc/>
    public override bool HeadHasBias => true;

    /// <inheritdoc/>
    public override IReadOnlyList<string> DefaultTargets =>
        [.. AttentionTargets, ModelTensors.EndOf(Up), ModelTensors.EndOf(Down)];

    /// <inheritdoc/>
    public override string FeedForwardOutput => ModelTensors.EndOf(Down);

    /// <inheritdoc/>
    protected override string Output => "self_attn.dense";

    /// <inheritdoc/>
    protected override (string Up, string Down) Plain => (Up, Down);

    /// <inheritdoc/>
    public override ModelConfig Read(JsonFields fields, ModelConfig config)
    {
        WindowKeys.Check(fields);
        if (fields.Boolean(HeadNorm) ?? false)
            throw fields.Wrong(HeadNorm, "false, as in all published models: norms of queries and keys are not read");
        return config with { QueryKeyValueBias = true, OutputBias = true, MlpBias = true, ParallelResidual = true };
    }

    /// <inheritdoc/>
    public override void WriteAttention(ModelConfig config, Utf8JsonWriter json)
    {
        json.WriteBoolean(HeadNorm, false);
        base.WriteAttention(config, json);
    }

    /// <inheritdoc/>
    protected override bool IsParallel(ModelConfig config) => true;
}
