using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Models.Families;

/// <summary>
/// StarCoder2 (Lozhkov et al., "StarCoder 2 and The Stack v2", 2024): Llama's attention between layer norms with
/// biases, a feed-forward layer without a gate, and biases on all linear layers.
/// </summary>
internal sealed class Starcoder2Family : PlainLayout
{
    private const string Bias = "use_bias";
    private const string Up = "mlp.c_fc";
    private const string Down = "mlp.c_proj";

    /// <inheritdoc/>
    public override string ModelType => "starcoder2";

    /// <inheritdoc/>
    public override string Architecture => "Starcoder2ForCausalLM";

    /// <inheritdoc/>
    public override int DefaultMaxPositions => 4096;

    /// <inheritdoc/>
    public override int? DefaultEosTokenId => 50256;

    /// <inheritdoc/>
    public override string NormEpsilonKey => "norm_epsilon";

    /// <inheritdoc/>
    public override bool TiesByDefault => true;

    /// <inheritdoc/>
    public override IReadOnlyList<string> Keys => [Bias, WindowKeys.Window];

    /// <inheritdoc/>
    public override IReadOnlyList<string> DefaultTargets =>
        [.. base.DefaultTargets.Take(4), ModelTensors.EndOf(Up), Down];

    /// <inheritdoc/>
    public override string FeedForwardOutput => Down;

    /// <inheritdoc/>
    protected override (string Up, string Down) Plain => (Up, Down);

    /// <inheritdoc/>
    public override int DefaultKeyValueHeads(int heads) => 2;

    /// <inheritdoc/>
    public override ModelConfig Read(JsonFields fields, ModelConfig config)
    {
        bool biased = fields.Boolean(Bias) ?? true;
        return config with
        {
            QueryKeyValueBias = biased,
            OutputBias = biased,
            MlpBias = biased,
            SlidingWindow = fields.Integer(WindowKeys.Window, 0, int.MaxValue) ?? 0,
        };
    }

    /// <inheritdoc/>
    public override void WriteAttention(ModelConfig config, Utf8JsonWriter json)
    {
        json.WriteBoolean(Bias, config.OutputBias);
        base.WriteAttention(config, json);
        WindowKeys.Write(config, json);
    }
}
