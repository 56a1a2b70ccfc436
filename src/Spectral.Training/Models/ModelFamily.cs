using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Models;

/// <summary>
/// Describes one architecture of Hugging Face: its keys and defaults in <c>config.json</c>, the names and shapes of a
/// layer's tensors, and what a layer computes.
/// </summary>
/// <remarks>
/// To add a family, add one file with one subclass to <c>Models/Families</c>. <see cref="ModelFamilies"/> finds it, and
/// reading, checking, fresh weights, training, adapters and saving follow from it.
/// </remarks>
internal abstract class ModelFamily
{
    private const string Weight = ".weight";

    /// <summary>The value of <c>model_type</c> in <c>config.json</c>.</summary>
    public abstract string ModelType { get; }

    /// <summary>
    /// Other values of <c>model_type</c> that may be taken for this one, each with what such models have that none of
    /// the families here has, for messages.
    /// </summary>
    public virtual IReadOnlyDictionary<string, string> Relatives => new Dictionary<string, string>();

    /// <summary>The class of transformers that a new <c>config.json</c> names under <c>architectures</c>.</summary>
    public abstract string Architecture { get; }

    /// <summary>The longest sequence if the config does not say.</summary>
    public abstract int DefaultMaxPositions { get; }

    /// <summary>The end token that transformers gives a model whose config does not mention one; null: none.</summary>
    public virtual int? DefaultEosTokenId => null;

    /// <summary>
    /// The tokenizer class of transformers to assume if no file of the folder names one; null: a file has to.
    /// </summary>
    public virtual string? DefaultTokenizerClass => null;

    /// <summary>
    /// The keys of <c>config.json</c> that <see cref="Read"/> interprets, beyond those of all families.
    /// </summary>
    public virtual IReadOnlyList<string> Keys => [];

    /// <summary>The base of the rotary frequencies if the config does not say.</summary>
    public virtual double DefaultRopeTheta => 10000;

    /// <summary>
    /// The share of a head's features that turn with their positions, if the config does not say; null: all turn in
    /// every model of the family.
    /// </summary>
    public virtual double? DefaultPartialRotaryFactor => null;

    /// <summary>The length of the sequences of pretraining if neither scaling nor config says; null: unknown.</summary>
    public virtual int? DefaultOriginalMaxPositions => null;

    /// <summary>
    /// Returns the type of scaling of rotary angles that a name in a config of the family stands for.
    /// </summary>
    public virtual string RopeTypeOf(string name) => name;

    /// <summary>
    /// The key of the rotary base of layers with a window, in a family where it may differ from that of the others, and
    /// where <c>rope_parameters</c> has an object for each type of layer; null: all layers turn alike.
    /// </summary>
    public virtual string? SlidingRopeThetaKey => null;

    /// <summary>
    /// Whether <see cref="ModelConfig.EmbeddingMultiplier"/> belongs to the embedding: it is rounded to the type of the
    /// weights, as in transformers, is not a factor on virtual tokens, and comes before NEFTune's noise.
    /// </summary>
    public virtual bool ScalesOnlyTokens => false;

    /// <summary>
    /// Whether neighbouring features of a head turn together; otherwise those of the first half of what turns with
    /// those of the second.
    /// </summary>
    public virtual bool InterleavesRotary => false;

    /// <summary>The epsilon of the norms if the config does not say.</summary>
    public virtual double DefaultNormEpsilon => 1e-6;

    /// <summary>The key of the norms' epsilon.</summary>
    public virtual string NormEpsilonKey => "rms_norm_eps";

    /// <summary>The key of the feed-forward layer's activation.</summary>
    public virtual string ActivationKey => "hidden_act";

    /// <summary>The activation if the config does not say.</summary>
    public virtual Activation DefaultActivation => Activation.Silu;

    /// <summary>The activations that the feed-forward layer can have.</summary>
    public virtual IReadOnlyList<Activation> Activations => Enum.GetValues<Activation>();

    /// <summary>Whether the output head is the embedding if the config does not say.</summary>
    public virtual bool TiesByDefault => false;

    /// <summary>The width of a head if the config does not say; null: that of the model over the heads.</summary>
    public virtual int? DefaultHeadDimension => null;

    /// <summary>
    /// The family's names for sizes, by those of most families, which it understands too. Of both its own counts.
    /// </summary>
    public virtual IReadOnlyDictionary<string, string> OwnNames { get; } = new Dictionary<string, string>();

    /// <summary>
    /// Returns the width of the feed-forward layer if the config does not say; null: it has to.
    /// </summary>
    /// <param name="hidden">The width of the model.</param>
    public virtual int? DefaultIntermediateSize(int hidden) => null;

    /// <summary>
    /// Returns whether a tensor of a checkpoint is not a weight but something that follows from the config.
    /// </summary>
    public virtual bool IsBuffer(string tensor) => tensor.EndsWith(".rotary_emb.inv_freq", StringComparison.Ordinal);

    /// <summary>Returns the number of key and value heads if the config does not say.</summary>
    /// <param name="heads">The number of query heads.</param>
    public virtual int DefaultKeyValueHeads(int heads) => heads;

    /// <summary>Completes the config with the family's own keys, such as biases and windows.</summary>
    /// <param name="fields">The fields of <c>config.json</c>.</param>
    /// <param name="config">The config from the keys of all families.</param>
    /// <exception cref="InputException">A key has an impossible value.</exception>
    public virtual ModelConfig Read(JsonFields fields, ModelConfig config) => config;

    /// <summary>Writes the keys that concern attention, including the family's own.</summary>
    public virtual void WriteAttention(ModelConfig config, Utf8JsonWriter json)
    {
        json.WriteNumber("rope_theta", config.RopeTheta);
        if (DefaultPartialRotaryFactor is not null)
            json.WriteNumber("partial_rotary_factor", config.PartialRotaryFactor);
        WriteScaling(config, json);
    }

    /// <summary>Writes the scaling of rotary angles, and the angles of layers with a window.</summary>
    protected virtual void WriteScaling(ModelConfig config, Utf8JsonWriter json)
    {
        Write("rope_scaling", config.RopeScaling);
        if (SlidingRopeThetaKey is null || config.SlidingRotary is not { } sliding)
            return;
        json.WriteNumber(SlidingRopeThetaKey, sliding.Theta);
        if (sliding.Scaling is null)
            return;
        json.WriteStartObject("rope_parameters");
        Write(LayerTypeNames.Full, config.RopeScaling);
        Write(LayerTypeNames.Sliding, sliding.Scaling);
        json.WriteEndObject();

        void Write(string key, RopeScaling? scaling)
        {
            json.WritePropertyName(key);
            if (scaling is not null)
                scaling.Write(json);
            else
                json.WriteNullValue();
        }
    }

    /// <summary>The name of the token embedding, a module with weight [V, D].</summary>
    public abstract string Embedding { get; }

    /// <summary>
    /// The name of the learned embedding of positions, a module with weight [P, D]; null: there is none.
    /// </summary>
    public virtual string? Positions => null;

    /// <summary>
    /// The name of the embedding of the kinds of tokens, such as those of a first and a second text, a module with
    /// weight [T, D]; null: there is none.
    /// </summary>
    public virtual string? TokenTypes => null;

    /// <summary>The name of the weight of <see cref="TokenTypes"/>; null: there is none.</summary>
    public string? TokenTypesWeight => TokenTypes is { } module ? module + Weight : null;

    /// <summary>Returns the norm of the sum of all embeddings; null: there is none.</summary>
    public virtual NormSpec? EmbeddingNorm(ModelConfig config) => null;

    /// <summary>
    /// Whether queries see the keys after them too, as in an encoder. Such a model has a head for classes.
    /// </summary>
    public virtual bool SeesAhead => false;

    /// <summary>
    /// Returns the modules of a head for classes of texts or words; null: the family has no such head here.
    /// </summary>
    public virtual ClassifierLayout? LayoutOf(ClassifierKind kind) =>
        kind == ClassifierKind.Sequence ? ClassifierLayout.OfDecoders : null;

    /// <summary>
    /// The name of the norm after the last layer, a module with weight [D]; null: the last layer ends with one.
    /// </summary>
    public abstract string? FinalNorm { get; }

    /// <summary>The name of the output head, a module with weight [V, D].</summary>
    public abstract string Head { get; }

    /// <summary>The name of the weight of <see cref="Embedding"/>.</summary>
    public string EmbeddingWeight => Embedding + Weight;

    /// <summary>The name of the weight of <see cref="Positions"/>; null: there is none.</summary>
    public string? PositionsWeight => Positions is { } module ? module + Weight : null;

    /// <summary>
    /// The name of the weight of <see cref="Head"/>. A checkpoint may lack it if the head is tied to the embedding.
    /// </summary>
    public string HeadWeight => Head + Weight;

    /// <summary>Whether the output head has a bias.</summary>
    public virtual bool HeadHasBias => false;

    /// <summary>The name of the bias of <see cref="Head"/>, in a family that has one.</summary>
    public string HeadBias => Head + ".bias";

    /// <summary>
    /// The layers that an adapter changes unless its options name others: the ends of the names of
    /// <see cref="Linears"/>, in their order.
    /// </summary>
    public abstract IReadOnlyList<string> DefaultTargets { get; }

    /// <summary>
    /// The end of the name of the layer that ends a feed-forward block. PEFT lists it for each family, as the one whose
    /// inputs IA3 scales.
    /// </summary>
    public abstract string FeedForwardOutput { get; }

    /// <summary>Returns what the norms of a model compute.</summary>
    public virtual NormForm FormOfNorms(ModelConfig config) => NormForm.Rms;

    /// <summary>Returns the norm after the last layer; null: there is none.</summary>
    public NormSpec? LastNorm(ModelConfig config) =>
        FinalNorm is { } name ? new NormSpec(name, config.HiddenSize, FormOfNorms(config)) : null;

    /// <summary>Lists the norms of a decoder layer.</summary>
    public abstract IReadOnlyList<NormSpec> Norms(ModelConfig config, int layer);

    /// <summary>
    /// Lists the weights of the norms of a decoder layer, each with the first of the linear layers that read the norm's
    /// output.
    /// </summary>
    public abstract IReadOnlyList<(string Norm, string Reader)> NormReaders(ModelConfig config, int layer);

    /// <summary>Lists the linear layers of a decoder layer, in the order of the checkpoint.</summary>
    public abstract IReadOnlyList<LinearSpec> Linears(ModelConfig config, int layer);

    /// <summary>
    /// Returns which rows and columns belong to neurons and heads; null: the layer has others than one feed-forward
    /// layer and attention of such heads.
    /// </summary>
    public virtual LayerUnits? Units(ModelConfig config, int layer) => null;

    /// <summary>
    /// Lists tensors that a checkpoint may have in place of several of the model's, or of one by another name.
    /// </summary>
    public virtual IEnumerable<FusedTensor> Fused(ModelConfig config) => [];

    /// <summary>Creates a decoder layer on the weights of a model with these norms and linear layers.</summary>
    public abstract DecoderLayer CreateLayer(ModelConfig config, int layer, ModelParameters weights);
}
