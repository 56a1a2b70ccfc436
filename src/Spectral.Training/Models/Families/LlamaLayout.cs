namespace Spectral.Training.Models.Families;

/// <summary>
/// The base of families whose layers have the projections of Llama's, under its names, and by default its norms.
/// </summary>
internal abstract class LlamaLayout : ModelFamily
{
    private const string InputNorm = "input_layernorm";
    private const string PostAttentionNorm = "post_attention_layernorm";

    /// <summary>The usual name of the norm of the queries within a decoder layer.</summary>
    protected const string QueryNorm = "self_attn.q_norm";

    /// <summary>The usual name of the norm of the keys within a decoder layer.</summary>
    protected const string KeyNorm = "self_attn.k_norm";

    private const string Query = "self_attn.q_proj";
    private const string Key = "self_attn.k_proj";
    private const string Value = "self_attn.v_proj";
    private const string QueryKeyValue = "self_attn.qkv_proj";
    private const string Gate = "mlp.gate_proj";
    private const string Up = "mlp.up_proj";
    private const string GateUp = "mlp.gate_up_proj";
    private const string Down = "mlp.down_proj";

    /// <inheritdoc/>
    public override string Embedding => "model.embed_tokens";

    /// <inheritdoc/>
    public override string FinalNorm => "model.norm";

    /// <inheritdoc/>
    public override string Head => "lm_head";

    /// <inheritdoc/>
    public override IReadOnlyList<string> DefaultTargets =>
        [.. AttentionTargets, .. Gates.Append(Down).Select(ModelTensors.EndOf)];

    /// <inheritdoc/>
    public override string FeedForwardOutput => ModelTensors.EndOf(Down);

    /// <summary>Whether queries, keys and values are the output of one linear layer, side by side.</summary>
    protected virtual bool FusesQueryKeyValue => false;

    /// <summary>Whether gate and up are the output of one linear layer, side by side.</summary>
    protected virtual bool FusesGateUp => false;

    /// <summary>The name of attention's output projection within a decoder layer.</summary>
    protected virtual string Output => "self_attn.o_proj";

    private string[] Readers => FusesQueryKeyValue ? [QueryKeyValue] : [Query, Key, Value];

    private string[] Gates => FusesGateUp ? [GateUp] : [Gate, Up];

    /// <summary>
    /// Returns whether attention and the feed-forward layer read the same norm, which is attention's.
    /// </summary>
    protected virtual bool IsParallel(ModelConfig config) => false;

    /// <summary>The ends of the names of attention's projections.</summary>
    protected IReadOnlyList<string> AttentionTargets => [.. Readers.Append(Output).Select(ModelTensors.EndOf)];

    /// <summary>Returns the sizes of the norms of queries and keys; null: there are none.</summary>
    protected virtual (int Query, int Key)? HeadNorms(ModelConfig config) => null;

    /// <summary>Returns the norms of queries and keys; null: there are none.</summary>
    protected virtual (NormSpec Query, NormSpec Key)? NormsOfHeads(ModelConfig config, int layer) =>
        HeadNorms(config) is { } sizes
            ? (
                new(NameOf(layer, QueryNorm), sizes.Query, FormOfNorms(config)),
                new(NameOf(layer, KeyNorm), sizes.Key, FormOfNorms(config))
            )
            : null;

    /// <summary>Returns layer norms of queries and keys with weights for each head and no bias.</summary>
    /// <param name="config">The sizes and options of the model.</param>
    /// <param name="layer">The number of the layer.</param>
    /// <param name="names">The names of the norms within the decoder layer.</param>
    /// <param name="modules">Whether files have a module for each head.</param>
    protected static (NormSpec Query, NormSpec Key) OwnNormsOfHeads(
        ModelConfig config,
        int layer,
        (string Query, string Key) names,
        bool modules
    )
    {
        return (Of(names.Query, config.Heads), Of(names.Key, config.KeyValueHeads));

        NormSpec Of(string name, int heads) =>
            new(NameOf(layer, name), config.HeadDimension, NormForm.Layer)
            {
                Heads = heads,
                HasModulePerHead = modules,
            };
    }

    /// <inheritdoc/>
    public override IReadOnlyList<NormSpec> Norms(ModelConfig config, int layer)
    {
        NormForm form = FormOfNorms(config);
        NormSpec[] heads = NormsOfHeads(config, layer) is { } pair ? [pair.Query, pair.Key] : [];
        (string attention, string feedForward) = BlockNorms;
        List<string> names = [attention];
        if (!IsParallel(config))
            names.Add(feedForward);
        if (OutputNorms is { } outputs)
            names.AddRange([outputs.Attention, outputs.FeedForward]);
        return [.. names.Select(name => new NormSpec(NameOf(layer, name), config.HiddenSize, form)), .. heads];
    }

    /// <summary>The names of the norms beside attention and beside the feed-forward layer.</summary>
    protected virtual (string Attention, string FeedForward) BlockNorms => (InputNorm, PostAttentionNorm);

    /// <summary>
    /// The names of the norms of what attention and the feed-forward layer give, where <see cref="BlockNorms"/> are
    /// those of their inputs; null: there are none.
    /// </summary>
    protected virtual (string Attention, string FeedForward)? OutputNorms => null;

    /// <inheritdoc/>
    public override IReadOnlyList<(string Norm, string Reader)> NormReaders(ModelConfig config, int layer)
    {
        (string Norm, string Reader) attention = (WeightOf(layer, BlockNorms.Attention), NameOf(layer, Readers[0]));
        return IsParallel(config)
            ? [attention]
            : [attention, (WeightOf(layer, BlockNorms.FeedForward), NameOf(layer, FeedForwardReader(config, layer)))];
    }

    /// <summary>The first of the linear layers that read the input of a decoder layer's feed-forward block.</summary>
    protected virtual string FeedForwardReader(ModelConfig config, int layer) => Gates[0];

    /// <inheritdoc/>
    public override IReadOnlyList<LinearSpec> Linears(ModelConfig config, int layer)
    {
        int hidden = config.HiddenSize;
        int query = config.Heads * config.HeadDimension;
        int keyValue = config.KeyValueHeads * config.HeadDimension;
        int[] widths = FusesQueryKeyValue ? [query + 2 * keyValue] : [query, keyValue, keyValue];
        return
        [
            .. Readers.Zip(
                widths,
                (name, width) => new LinearSpec(NameOf(layer, name), width, hidden, config.QueryKeyValueBias)
            ),
            new(NameOf(layer, Output), hidden, query, config.OutputBias),
            .. FeedForwardLinears(config, layer),
        ];
    }

    /// <inheritdoc/>
    public override LayerUnits? Units(ModelConfig config, int layer)
    {
        var linears = Linears(config, layer).ToDictionary(linear => linear.Name);
        (NormSpec Query, NormSpec Key)? heads = NormsOfHeads(config, layer);
        // The linear layers of experts have other names; norms of single heads cannot be rearranged.
        if (!Gates.All(name => linears.ContainsKey(NameOf(layer, name))) || heads is { Query.HasModulePerHead: true })
            return null;
        int query = config.Heads * config.HeadDimension;
        int keyValue = config.KeyValueHeads * config.HeadDimension;
        OutputRows[] attention = Parts(Readers, [query, keyValue, keyValue]);
        (string, OutputRows)[] norms =
            heads is { } pair && (Weights(pair.Query), Weights(pair.Key)) == (query, keyValue)
                ? [(pair.Query.Weight, attention[0]), (pair.Key.Weight, attention[1])]
                : [];
        return new LayerUnits
        {
            Neurons = Parts(Gates, [config.IntermediateSize, config.IntermediateSize]),
            NeuronReader = linears[NameOf(layer, Down)],
            Queries = attention[0],
            Keys = attention[1],
            Values = attention[2],
            HeadReader = linears[NameOf(layer, Output)],
            Norms = norms,
        };

        static int Weights(NormSpec norm) => norm.Size * (norm.Heads ?? 1);

        // Each part is a layer by itself, or all of them are one layer, in this order.
        OutputRows[] Parts(string[] names, int[] counts) =>
            [
                .. counts.Select(
                    (count, i) =>
                        names.Length == 1
                            ? new OutputRows(linears[NameOf(layer, names[0])], counts.Take(i).Sum(), count)
                            : new OutputRows(linears[NameOf(layer, names[i])], 0, count)
                ),
            ];
    }

    /// <summary>Lists the linear layers of the feed-forward block of a decoder layer.</summary>
    protected virtual IReadOnlyList<LinearSpec> FeedForwardLinears(ModelConfig config, int layer)
    {
        (int hidden, int gated) = (config.HiddenSize, config.IntermediateSize);
        int width = 2 * gated / Gates.Length;
        return
        [
            .. Gates.Select(name => new LinearSpec(NameOf(layer, name), width, hidden, config.MlpBias)),
            new(NameOf(layer, Down), hidden, gated, config.MlpBias),
        ];
    }

    /// <inheritdoc/>
    public override DecoderLayer CreateLayer(ModelConfig config, int layer, ModelParameters weights)
    {
        var linears = Linears(config, layer).ToDictionary(spec => spec.Name, weights.CreateLinear);
        var norms = Norms(config, layer).ToDictionary(spec => spec.Name, spec => weights.CreateNorm(config, spec));
        (NormSpec Query, NormSpec Key)? heads = NormsOfHeads(config, layer);
        int query = config.Heads * config.HeadDimension;
        int keyValue = config.KeyValueHeads * config.HeadDimension;
        var attention = new AttentionBlock
        {
            Projections = FusesQueryKeyValue
                ? new Projections(Linear(QueryKeyValue), [query, keyValue, keyValue])
                : new Projections(Linear(Query), Linear(Key), Linear(Value)),
            Output = Linear(Output),
            QueryNorm = heads is { Query: var ofQueries } ? norms[ofQueries.Name] : null,
            KeyNorm = heads is { Key: var ofKeys } ? norms[ofKeys.Name] : null,
        };
        return Join(config, attention, CreateFeedForward(config, layer, Linear), Norm);

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
            Gates = FusesGateUp
                ? new Projections(linear(GateUp), [config.IntermediateSize, config.IntermediateSize])
                : new Projections(linear(Gate), linear(Up)),
            Down = linear(Down),
            Activation = config.Activation,
        };

    /// <summary>Joins attention and the feed-forward layer with their norms to a decoder layer.</summary>
    /// <param name="config">The sizes and options of the model.</param>
    /// <param name="attention">Attention with its projections.</param>
    /// <param name="feedForward">The feed-forward layer.</param>
    /// <param name="norm">Returns one of the layer's norms by the name within the decoder layer.</param>
    protected virtual DecoderLayer Join(
        ModelConfig config,
        AttentionBlock attention,
        FeedForwardBlock feedForward,
        Func<string, Norm> norm
    )
    {
        if (IsParallel(config))
            return new ParallelLayer(norm(BlockNorms.Attention), attention, (ProjectedBlock)feedForward);
        if (OutputNorms is { } outputs)
        {
            return new SandwichNormLayer
            {
                AttentionNorm = norm(BlockNorms.Attention),
                Attention = attention,
                AttentionOutputNorm = norm(outputs.Attention),
                FeedForwardNorm = norm(BlockNorms.FeedForward),
                FeedForward = feedForward,
                FeedForwardOutputNorm = norm(outputs.FeedForward),
            };
        }
        return new PreNormLayer
        {
            AttentionNorm = norm(BlockNorms.Attention),
            Attention = attention,
            FeedForwardNorm = norm(BlockNorms.FeedForward),
            FeedForward = feedForward,
            Multiplier = (float)config.ResidualMultiplier,
        };
    }

    /// <summary>Returns the full name of a module from the one within its decoder layer.</summary>
    protected static string NameOf(int layer, string module) => $"model.layers.{layer}.{module}";

    private static string WeightOf(int layer, string module) => NameOf(layer, module) + ".weight";
}
