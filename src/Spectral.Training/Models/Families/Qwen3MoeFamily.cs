using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Models.Families;

/// <summary>
/// Qwen3 with mixtures of experts (Yang et al., 2025): norms of each head's queries and keys, and narrow experts in all
/// layers or in some.
/// </summary>
internal sealed class Qwen3MoeFamily : ExpertLayout
{
    private const string AttentionBias = "attention_bias";
    private const string UseWindow = "use_sliding_window";
    private const string Width = "moe_intermediate_size";
    private const string Normalises = "norm_topk_prob";
    private const string Step = "decoder_sparse_step";
    private const string DenseLayers = "mlp_only_layers";

    /// <inheritdoc/>
    public override string ModelType => "qwen3_moe";

    /// <inheritdoc/>
    public override string Architecture => "Qwen3MoeForCausalLM";

    /// <inheritdoc/>
    public override int DefaultMaxPositions => 32768;

    /// <inheritdoc/>
    public override IReadOnlyList<string> Keys =>
        [.. base.Keys, AttentionBias, WindowKeys.Window, UseWindow, Width, Normalises, Step, DenseLayers];

    /// <inheritdoc/>
    public override string FeedForwardOutput => ExpertModules.Down;

    /// <inheritdoc/>
    protected override string CountKey => "num_experts";

    /// <inheritdoc/>
    protected override int DefaultCount => 128;

    /// <inheritdoc/>
    protected override int DefaultPerToken => 8;

    /// <inheritdoc/>
    protected override string Mixture => "mlp";

    /// <inheritdoc/>
    protected override (string Gate, string Up, string Down) ExpertModules => ("gate_proj", "up_proj", "down_proj");

    /// <inheritdoc/>
    public override int DefaultKeyValueHeads(int heads) => 4;

    /// <inheritdoc/>
    public override ModelConfig Read(JsonFields fields, ModelConfig config)
    {
        ModelConfig read = base.Read(fields, config);
        bool bias = fields.Boolean(AttentionBias) ?? false;
        int window = WindowKeys.Read(fields);
        int step = fields.Integer(Step, 1, int.MaxValue) ?? 1;
        IReadOnlyList<int> dense = fields.IntegerOrList(DenseLayers, 0, int.MaxValue) ?? [];
        return read with
        {
            Experts = read.Experts! with
            {
                IntermediateSize = fields.Integer(Width, 1, 1 << 20) ?? 768,
                NormalisesWeights = fields.Boolean(Normalises) ?? false,
                Layers =
                [
                    .. Enumerable
                        .Range(0, config.Layers)
                        .Select(layer => (layer + 1) % step == 0 && !dense.Contains(layer)),
                ],
            },
            QueryKeyValueBias = bias,
            OutputBias = bias,
            SlidingWindow = fields.Boolean(UseWindow) ?? false ? window : 0,
        };
    }

    /// <inheritdoc/>
    public override void WriteAttention(ModelConfig config, Utf8JsonWriter json)
    {
        base.WriteAttention(config, json);
        ExpertsConfig experts = ExpertsOf(config);
        json.WriteBoolean(AttentionBias, config.OutputBias);
        json.WriteBoolean(UseWindow, config.SlidingWindow > 0);
        WindowKeys.Write(config, json);
        json.WriteNumber(Width, experts.IntermediateSize ?? config.IntermediateSize);
        json.WriteBoolean(Normalises, experts.NormalisesWeights);
        json.WriteNumber(Step, 1);
        json.WriteStartArray(DenseLayers);
        for (int layer = 0; layer < config.Layers; layer++)
        {
            if (!experts.In(layer))
                json.WriteNumberValue(layer);
        }
        json.WriteEndArray();
    }

    /// <inheritdoc/>
    protected override (int Query, int Key)? HeadNorms(ModelConfig config) =>
        (config.HeadDimension, config.HeadDimension);
}
