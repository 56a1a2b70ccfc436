namespace Spectral.Training.Models.Families;

/// <summary>
/// The base of families whose layers have the projections of Llama's, under its names, and by default its norms.
/// </summary>
internal abstract class LlamaLayout : ModelFamily
{
    private const string InputNorm = "input_layernorm";
    private const string PostAttentionNorm = "post_attention_layernorm";
    private const string QueryNorm = "self_attn.q_norm";
    private const string KeyNorm = "self_attn.k_norm";
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

    /// <summary>Returns the sizes of the norms of queries and keys; null: there are none.</summary>
    protected virtual (int Query, int Key)? HeadNorms(ModelConfig config) => null;

    /// <inheritdoc/>
    public override IReadOnlyList<NormSpec> Norms(ModelConfig config, int layer)
    {
        NormForm form = FormOfNorms(config);
        NormSpec[] heads = HeadNorms(config) is { } sizes
            ? [new(NameOf(layer, QueryNorm), sizes.Query, form), new(NameOf(layer, KeyNorm), sizes.Key, form)]
            : [];
        (string attention, string feedForward) = BlockNorms;
        return
        [
            new(NameOf(layer, attention), config.HiddenSize, form),
            new(NameOf(layer, feedForward), config.HiddenSize, form),
            .. heads,
        ];
    }

    /// <summary>The names of the norms beside attention and beside the feed-forward layer.</summary>
    protected virtual (string Attention, string FeedForward) BlockNorms => (InputNorm, PostAttentionNorm);

    /// <inheritdoc/>
    public override IReadOnlyList<(string Norm, string Reader)> NormReaders(ModelConfig config, int layer) =>
        [
            (WeightOf(layer, InputNorm), NameOf(layer, Query)),
            (WeightOf(layer, PostAttentionNorm), NameOf(layer, FeedForwardReader(config, layer))),
        ];

    /// <summary>The first of the linear layers that read the input of a decoder layer's feed-forward block.</summary>
    protected virtual string FeedForwardReader(ModelConfig config, int layer) => Gate;

    /// <inheritdoc/>
    public override IReadOnlyList<LinearSpec> Linears(ModelConfig config, int layer)
    {
        int hidden = config.HiddenSize;
        int query = config.Heads * config.HeadDimension;
        int keyValue = config.KeyValueHeads * config.HeadDimension;
        return
        [
            new(NameOf(layer, Query), query, hidden, config.QueryKeyValueBias),
            new(NameOf(layer, Key), keyValue, hidden, config.QueryKeyValueBias),
            new(NameOf(layer, Value), keyValue, hidden, config.QueryKeyValueBias),
            new(NameOf(layer, Output), hidden, query, config.OutputBias),
            .. FeedForwardLinears(config, layer),
        ];
    }

    /// <summary>Lists the linear layers of the feed-forward block of a decoder layer.</summary>
    protected virtual IReadOnlyList<LinearSpec> FeedForwardLinears(ModelConfig config, int layer)
    {
        (int hidden, int gated) = (config.HiddenSize, config.IntermediateSize);
        return
        [
            new(NameOf(layer, Gate), gated, hidden, config.MlpBias),
            new(NameOf(layer, Up), gated, hidden, config.MlpBias),
            new(NameOf(layer, Down), hidden, gated, config.MlpBias),
        ];
    }

    /// <inheritdoc/>
    public override DecoderLayer CreateLayer(ModelConfig config, int layer, ModelParameters weights)
    {
        var linears = Linears(config, layer).ToDictionary(spec => spec.Name, weights.CreateLinear);
        var norms = Norms(config, layer).ToDictionary(spec => spec.Name, spec => weights.CreateNorm(config, spec));
        var attention = new AttentionBlock
        {
            Projections = new Projections(Linear(Query), Linear(Key), Linear(Value)),
            Output = Linear(Output),
            QueryNorm = norms.GetValueOrDefault(NameOf(layer, QueryNorm)),
            KeyNorm = norms.GetValueOrDefault(NameOf(layer, KeyNorm)),
        };
        FeedForwardBlock feedForward = CreateFeedForward(config, layer, Linear);
        return Join(config, attention, Norm(BlockNorms.Attention), feedForward, Norm(BlockNorms.FeedForward));

        Linear Linear(string module) => linears[NameOf(layer, module)];
        Norm Norm(string module) => norms[NameOf(layer, module)];
    }

    /// <summary>Creates the feed-forward block of a decoder layer.</summary>
    /// <param name="config">The sizes and options of the model.</param>
    /// <param name="layer">The number of the layer.</param>
    /// <param name="linear">Returns one of its linear layers by the name within the decoder layer.</param>
    protected virtual FeedForwardBlock CreateFeedForward(ModelConfig config, int layer, Func<string, Linear> linear) =>
        new GatedBlock
        {
            Gates = new Projections(linear(Gate), linear(Up)),
            Down = linear(Down),
            Activation = config.Activation,
        };

    /// <summary>Joins attention and the feed-forward layer, each with its norm, to a decoder layer.</summary>
    protected virtual DecoderLayer Join(
        ModelConfig config,
        AttentionBlock attention,
        Norm attentionNorm,
        FeedForwardBlock feedForward,
        Norm feedForwardNorm
    ) =>
        new PreNormLayer
        {
            AttentionNorm = attentionNorm,
            Attention = attention,
            FeedForwardNorm = feedForwardNorm,
            FeedForward = feedForward,
            Multiplier = (float)config.ResidualMultiplier,
        };

    /// <summary>Returns the full name of a module from the one within its decoder layer.</summary>
    protected static string NameOf(int layer, string module) => $"model.layers.{layer}.{module}";

    private static string WeightOf(int layer, string module) => NameOf(layer, module) + ".weight";
}
