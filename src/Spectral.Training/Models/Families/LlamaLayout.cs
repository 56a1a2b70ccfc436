namespace Spectral.Training.Models.Families;

/// <summary>The base of families whose layers have the names, the shapes and the formula of Llama's.</summary>
internal abstract class LlamaLayout : ModelFamily
{
    private const string InputNorm = "input_layernorm";
    private const string PostAttentionNorm = "post_attention_layernorm";
    private const string Query = "self_attn.q_proj";
    private const string Key = "self_attn.k_proj";
    private const string Value = "self_attn.v_proj";
    private const string Output = "self_attn.o_proj";
    private const string Gate = "mlp.gate_proj";
    private const string Up = "mlp.up_proj";
    private const string Down = "mlp.down_proj";

    /// <inheritdoc/>
    public override string Embedding => "model.embed_tokens";

    /// <inheritdoc/>
    public override string FinalNorm => "model.norm";

    /// <inheritdoc/>
    public override string Head => "lm_head";

    /// <inheritdoc/>
    public override IReadOnlyList<string> DefaultTargets { get; } =
    [.. new[] { Query, Key, Value, Output, Gate, Up, Down }.Select(ModelTensors.EndOf)];

    /// <inheritdoc/>
    public override string FeedForwardOutput => ModelTensors.EndOf(Down);

    /// <inheritdoc/>
    public override IReadOnlyList<TensorSpec> Norms(ModelConfig config, int layer) =>
        [
            new(WeightOf(layer, InputNorm), [config.HiddenSize]),
            new(WeightOf(layer, PostAttentionNorm), [config.HiddenSize]),
        ];

    /// <inheritdoc/>
    public override IReadOnlyList<(string Norm, string Reader)> NormReaders(int layer) =>
        [(WeightOf(layer, InputNorm), NameOf(layer, Query)), (WeightOf(layer, PostAttentionNorm), NameOf(layer, Gate))];

    /// <inheritdoc/>
    public override IReadOnlyList<LinearSpec> Linears(ModelConfig config, int layer)
    {
        int hidden = config.HiddenSize;
        int gated = config.IntermediateSize;
        int query = config.Heads * config.HeadDimension;
        int keyValue = config.KeyValueHeads * config.HeadDimension;
        return
        [
            new(NameOf(layer, Query), query, hidden, config.QueryKeyValueBias),
            new(NameOf(layer, Key), keyValue, hidden, config.QueryKeyValueBias),
            new(NameOf(layer, Value), keyValue, hidden, config.QueryKeyValueBias),
            new(NameOf(layer, Output), hidden, query, config.OutputBias),
            new(NameOf(layer, Gate), gated, hidden, config.MlpBias),
            new(NameOf(layer, Up), gated, hidden, config.MlpBias),
            new(NameOf(layer, Down), hidden, gated, config.MlpBias),
        ];
    }

    /// <inheritdoc/>
    public override DecoderLayer CreateLayer(ModelConfig config, int layer, ModelParameters weights)
    {
        var linears = Linears(config, layer).ToDictionary(spec => spec.Name, weights.CreateLinear);
        return new LlamaLayer
        {
            InputNorm = weights[WeightOf(layer, InputNorm)],
            PostAttentionNorm = weights[WeightOf(layer, PostAttentionNorm)],
            Projections = new SiblingLinears(Linear(Query), Linear(Key), Linear(Value)),
            Output = Linear(Output),
            Gates = new SiblingLinears(Linear(Gate), Linear(Up)),
            Down = Linear(Down),
            Epsilon = (float)config.RmsNormEpsilon,
        };

        Linear Linear(string module) => linears[NameOf(layer, module)];
    }

    private static string NameOf(int layer, string module) => $"model.layers.{layer}.{module}";

    private static string WeightOf(int layer, string module) => NameOf(layer, module) + ".weight";
}
