using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Models.Families;

/// <summary>
/// The layout of BERT and RoBERTa: an encoder whose queries see all keys of a text, with learned embeddings of
/// positions and kinds of tokens, and norms of sums. Its head gives classes or a number.
/// </summary>
internal abstract class EncoderLayout : ModelFamily
{
    private const string PositionType = "position_embedding_type";
    private const string IsDecoder = "is_decoder";
    private const string CrossAttention = "add_cross_attention";
    private const string Types = "type_vocab_size";

    private const string Query = "attention.self.query";
    private const string Key = "attention.self.key";
    private const string Value = "attention.self.value";
    private const string Output = "attention.output.dense";
    private const string Up = "intermediate.dense";
    private const string Down = "output.dense";
    private const string AttentionNorm = "attention.output.LayerNorm";
    private const string FeedForwardNorm = "output.LayerNorm";

    /// <summary>The attribute that holds the encoder, such as <c>bert</c>.</summary>
    protected abstract string Base { get; }

    /// <inheritdoc/>
    public override bool SeesAhead => true;

    /// <inheritdoc/>
    public override int DefaultMaxPositions => 512;

    /// <inheritdoc/>
    public override IReadOnlyList<string> Keys => [PositionType, IsDecoder, CrossAttention, Types];

    /// <inheritdoc/>
    public override string NormEpsilonKey => "layer_norm_eps";

    /// <inheritdoc/>
    public override double DefaultNormEpsilon => 1e-12;

    /// <inheritdoc/>
    public override Activation DefaultActivation => Activation.Gelu;

    /// <inheritdoc/>
    public override IReadOnlyList<Activation> Activations => Models.Activations.Plain;

    /// <inheritdoc/>
    public override string Embedding => $"{Base}.embeddings.word_embeddings";

    /// <inheritdoc/>
    public override string Positions => $"{Base}.embeddings.position_embeddings";

    /// <inheritdoc/>
    public override string TokenTypes => $"{Base}.embeddings.token_type_embeddings";

    /// <inheritdoc/>
    public override string? FinalNorm => null;

    /// <inheritdoc/>
    public override string Head => "classifier";

    /// <inheritdoc/>
    public override IReadOnlyList<string> DefaultTargets => ["query", "value"];

    /// <inheritdoc/>
    public override string FeedForwardOutput => Down;

    /// <summary>The number of kinds of tokens if the config does not say.</summary>
    protected virtual int DefaultTokenTypes => 2;

    /// <inheritdoc/>
    public override NormForm FormOfNorms(ModelConfig config) => NormForm.LayerWithBias;

    /// <inheritdoc/>
    public override NormSpec EmbeddingNorm(ModelConfig config) =>
        new($"{Base}.embeddings.LayerNorm", config.HiddenSize, FormOfNorms(config));

    /// <summary>
    /// Returns whether a tensor is a list of positions that old checkpoints store, or of a head that this model does
    /// not have.
    /// </summary>
    public override bool IsBuffer(string tensor) =>
        tensor.EndsWith("embeddings.position_ids", StringComparison.Ordinal)
        || tensor.EndsWith("embeddings.token_type_ids", StringComparison.Ordinal)
        || tensor.StartsWith("cls.", StringComparison.Ordinal)
        || tensor.StartsWith("lm_head.", StringComparison.Ordinal)
        || tensor.StartsWith($"{Base}.pooler.", StringComparison.Ordinal);

    /// <inheritdoc/>
    public override ModelConfig Read(JsonFields fields, ModelConfig config)
    {
        if (fields.Text(PositionType) is { } type && type != "absolute")
            throw fields.Wrong(PositionType, "absolute (no other is supported)");
        foreach (string key in (string[])[IsDecoder, CrossAttention])
        {
            if (fields.Boolean(key) ?? false)
                throw fields.Wrong(key, "false: nothing else is supported");
        }

        if (config.HeadDimension * config.Heads != config.HiddenSize || config.KeyValueHeads != config.Heads)
        {
            throw fields.Wrong(
                "num_attention_heads",
                "as many heads of keys as of queries, which hidden_size is made of"
            );
        }

        return config with
        {
            TieWordEmbeddings = false,
            QueryKeyValueBias = true,
            OutputBias = true,
            MlpBias = true,
            RotaryLayers = new bool[config.Layers],
            TokenTypes = fields.Integer(Types, 1, 1 << 10) ?? DefaultTokenTypes,
        };
    }

    /// <inheritdoc/>
    public override void WriteAttention(ModelConfig config, Utf8JsonWriter json) =>
        json.WriteNumber(Types, config.TokenTypes);

    /// <inheritdoc/>
    public override IReadOnlyList<NormSpec> Norms(ModelConfig config, int layer) =>
        [
            new(NameOf(layer, AttentionNorm), config.HiddenSize, FormOfNorms(config)),
            new(NameOf(layer, FeedForwardNorm), config.HiddenSize, FormOfNorms(config)),
        ];

    /// <summary>Lists only the norm before the feed-forward layer; the other's readers are in the next layer.</summary>
    public override IReadOnlyList<(string Norm, string Reader)> NormReaders(ModelConfig config, int layer) =>
        [(Norms(config, layer)[0].Weight, NameOf(layer, Up))];

    /// <inheritdoc/>
    public override IReadOnlyList<LinearSpec> Linears(ModelConfig config, int layer)
    {
        (int hidden, int inner) = (config.HiddenSize, config.IntermediateSize);
        return
        [
            new(NameOf(layer, Query), hidden, hidden, true),
            new(NameOf(layer, Key), hidden, hidden, true),
            new(NameOf(layer, Value), hidden, hidden, true),
            new(NameOf(layer, Output), hidden, hidden, true),
            new(NameOf(layer, Up), inner, hidden, true),
            new(NameOf(layer, Down), hidden, inner, true),
        ];
    }

    /// <inheritdoc/>
    public override LayerUnits? Units(ModelConfig config, int layer)
    {
        IReadOnlyList<LinearSpec> linears = Linears(config, layer);
        return new LayerUnits
        {
            Queries = new OutputRows(linears[0], 0, config.HiddenSize),
            Keys = new OutputRows(linears[1], 0, config.HiddenSize),
            Values = new OutputRows(linears[2], 0, config.HiddenSize),
            HeadReader = linears[3],
            Neurons = [new OutputRows(linears[4], 0, config.IntermediateSize)],
            NeuronReader = linears[5],
        };
    }

    /// <summary>Lists the norms as checkpoints from TensorFlow name their weights: gamma and beta.</summary>
    public override IEnumerable<FusedTensor> Fused(ModelConfig config)
    {
        IEnumerable<NormSpec> norms = Enumerable
            .Range(0, config.Layers)
            .SelectMany(layer => Norms(config, layer))
            .Prepend(EmbeddingNorm(config));
        foreach (NormSpec norm in norms)
        {
            yield return new($"{norm.Name}.gamma", [norm.Size], [new TensorSpec(norm.Weight, [norm.Size])]);
            yield return new($"{norm.Name}.beta", [norm.Size], [new TensorSpec(norm.Bias, [norm.Size])]);
        }
    }

    /// <inheritdoc/>
    public override DecoderLayer CreateLayer(ModelConfig config, int layer, ModelParameters weights)
    {
        Linear[] linears = [.. Linears(config, layer).Select(weights.CreateLinear)];
        Norm[] norms = [.. Norms(config, layer).Select(norm => weights.CreateNorm(config, norm))];
        return new ResidualNormLayer
        {
            AttentionNorm = norms[0],
            Attention = new AttentionBlock
            {
                Projections = new Projections(linears[0], linears[1], linears[2]),
                Output = linears[3],
            },
            FeedForwardNorm = norms[1],
            FeedForward = new PlainBlock
            {
                Up = new Projections(linears[4]),
                Down = linears[5],
                Activation = config.Activation,
            },
        };
    }

    private string NameOf(int layer, string module) => $"{Base}.encoder.layer.{layer}.{module}";
}
