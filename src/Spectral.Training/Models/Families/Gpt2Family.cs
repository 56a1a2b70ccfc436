using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Models.Families;

/// <summary>
/// GPT-2 (Radford et al., "Language Models are Unsupervised Multitask Learners", 2019): layer norms with biases, a
/// feed-forward layer without a gate, learned embeddings of positions, and weights stored [in, out].
/// </summary>
internal sealed class Gpt2Family : ModelFamily
{
    private const string ScalesScores = "scale_attn_weights";
    private const string ScalesByLayer = "scale_attn_by_inverse_layer_idx";
    private const string CrossAttention = "add_cross_attention";
    private const string Upcasts = "reorder_and_upcast_attn"; // only how scores are computed, not what they are
    private const string AttentionNorm = "ln_1";
    private const string FeedForwardNorm = "ln_2";
    private const string QueryKeyValue = "attn.c_attn";
    private const string Output = "attn.c_proj";
    private const string Up = "mlp.c_fc";
    private const string Down = "mlp.c_proj";

    /// <inheritdoc/>
    public override string ModelType => "gpt2";

    /// <inheritdoc/>
    public override string Architecture => "GPT2LMHeadModel";

    /// <inheritdoc/>
    public override int DefaultMaxPositions => 1024;

    /// <inheritdoc/>
    public override int? DefaultEosTokenId => 50256;

    /// <inheritdoc/>
    public override string? DefaultTokenizerClass => "GPT2Tokenizer";

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, string> OwnNames { get; } =
        new Dictionary<string, string>
        {
            ["hidden_size"] = "n_embd",
            ["intermediate_size"] = "n_inner",
            ["num_hidden_layers"] = "n_layer",
            ["num_attention_heads"] = "n_head",
            ["max_position_embeddings"] = "n_positions",
        };

    /// <inheritdoc/>
    public override IReadOnlyList<string> Keys => [ScalesScores, ScalesByLayer, CrossAttention, Upcasts];

    /// <inheritdoc/>
    public override string NormEpsilonKey => "layer_norm_epsilon";

    /// <inheritdoc/>
    public override double DefaultNormEpsilon => 1e-5;

    /// <inheritdoc/>
    public override string ActivationKey => "activation_function";

    /// <inheritdoc/>
    public override Activation DefaultActivation => Activation.GeluTanh;

    /// <inheritdoc/>
    public override IReadOnlyList<Activation> Activations => Models.Activations.Plain;

    /// <inheritdoc/>
    public override bool TiesByDefault => true;

    /// <inheritdoc/>
    public override string Embedding => "transformer.wte";

    /// <inheritdoc/>
    public override string Positions => "transformer.wpe";

    /// <inheritdoc/>
    public override string FinalNorm => "transformer.ln_f";

    /// <inheritdoc/>
    public override string Head => "lm_head";

    /// <inheritdoc/>
    public override IReadOnlyList<string> DefaultTargets => [QueryKeyValue, Output, Up, Down];

    /// <inheritdoc/>
    public override string FeedForwardOutput => Down;

    /// <inheritdoc/>
    public override int? DefaultIntermediateSize(int hidden) => 4 * hidden;

    /// <inheritdoc/>
    public override NormForm FormOfNorms(ModelConfig config) => NormForm.LayerWithBias;

    /// <summary>Returns whether a tensor is the causal mask that old checkpoints store.</summary>
    public override bool IsBuffer(string tensor) =>
        tensor.EndsWith(".attn.bias", StringComparison.Ordinal)
        || tensor.EndsWith(".attn.masked_bias", StringComparison.Ordinal);

    /// <inheritdoc/>
    public override ModelConfig Read(JsonFields fields, ModelConfig config)
    {
        WindowKeys.Check(fields);
        foreach (string key in (string[])[ScalesByLayer, CrossAttention])
        {
            if (fields.Boolean(key) ?? false)
                throw fields.Wrong(key, "false: nothing else is supported");
        }
        if (config.HeadDimension * config.Heads != config.HiddenSize)
        {
            throw fields.Wrong(
                "head_dim",
                $"none, or {config.HiddenSize / config.Heads}, as the family has no such key"
            );
        }
        if (config.KeyValueHeads != config.Heads)
            throw fields.Wrong("num_key_value_heads", $"none, or {config.Heads}, as the family has no such key");
        return config with
        {
            QueryKeyValueBias = true,
            OutputBias = true,
            MlpBias = true,
            RotaryLayers = new bool[config.Layers],
            AttentionMultiplier = fields.Boolean(ScalesScores) ?? true ? null : 1,
        };
    }

    /// <inheritdoc/>
    public override void WriteAttention(ModelConfig config, Utf8JsonWriter json)
    {
        json.WriteBoolean(ScalesScores, config.AttentionMultiplier is null);
        json.WriteBoolean(ScalesByLayer, false);
        json.WriteBoolean(CrossAttention, false);
    }

    /// <inheritdoc/>
    public override IReadOnlyList<NormSpec> Norms(ModelConfig config, int layer) =>
        [
            new(NameOf(layer, AttentionNorm), config.HiddenSize, FormOfNorms(config)),
            new(NameOf(layer, FeedForwardNorm), config.HiddenSize, FormOfNorms(config)),
        ];

    /// <inheritdoc/>
    public override IReadOnlyList<(string Norm, string Reader)> NormReaders(ModelConfig config, int layer) =>
        [
            (Norms(config, layer)[0].Weight, NameOf(layer, QueryKeyValue)),
            (Norms(config, layer)[1].Weight, NameOf(layer, Up)),
        ];

    /// <inheritdoc/>
    public override IReadOnlyList<LinearSpec> Linears(ModelConfig config, int layer)
    {
        (int hidden, int inner) = (config.HiddenSize, config.IntermediateSize);
        (int query, int keyValue) = Widths(config);
        return
        [
            Stored(QueryKeyValue, query + 2 * keyValue, hidden, config.QueryKeyValueBias),
            Stored(Output, hidden, query, config.OutputBias),
            Stored(Up, inner, hidden, config.MlpBias),
            Stored(Down, hidden, inner, config.MlpBias),
        ];

        LinearSpec Stored(string module, int outputs, int inputs, bool biased) =>
            new(NameOf(layer, module), outputs, inputs, biased) { IsTransposed = true };
    }

    /// <inheritdoc/>
    public override LayerUnits? Units(ModelConfig config, int layer)
    {
        IReadOnlyList<LinearSpec> linears = Linears(config, layer);
        (int query, int keyValue) = Widths(config);
        return new LayerUnits
        {
            Queries = new OutputRows(linears[0], 0, query),
            Keys = new OutputRows(linears[0], query, keyValue),
            Values = new OutputRows(linears[0], query + keyValue, keyValue),
            HeadReader = linears[1],
            Neurons = [new OutputRows(linears[2], 0, config.IntermediateSize)],
            NeuronReader = linears[3],
        };
    }

    /// <inheritdoc/>
    public override DecoderLayer CreateLayer(ModelConfig config, int layer, ModelParameters weights)
    {
        Linear[] linears = [.. Linears(config, layer).Select(weights.CreateLinear)];
        Norm[] norms = [.. Norms(config, layer).Select(norm => weights.CreateNorm(config, norm))];
        (int query, int keyValue) = Widths(config);
        return new PreNormLayer
        {
            AttentionNorm = norms[0],
            Attention = new AttentionBlock
            {
                Projections = new Projections(linears[0], [query, keyValue, keyValue]),
                Output = linears[1],
            },
            FeedForwardNorm = norms[1],
            FeedForward = new PlainBlock
            {
                Up = new Projections(linears[2]),
                Down = linears[3],
                Activation = config.Activation,
            },
        };
    }

    private static (int Query, int KeyValue) Widths(ModelConfig config) =>
        (config.Heads * config.HeadDimension, config.KeyValueHeads * config.HeadDimension);

    private static string NameOf(int layer, string module) => $"transformer.h.{layer}.{module}";
}
