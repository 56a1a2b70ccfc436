using Spectral.Training.IO;
using Spectral.Training.Quantization;

namespace Spectral.Training.Models;

/// <summary>
/// The contents of a model's <c>config.json</c>, with Hugging Face's defaults for absent keys. Every value is
/// checked. Sizes are bounded so that no product of them overflows 63 bits.
/// </summary>
public sealed record ModelConfig
{
    internal const int MaximumPositions = 1 << 24;

    /// <summary>The architecture, such as <c>llama</c> or <c>qwen3</c>.</summary>
    public required string ModelType { get; init; }

    /// <summary>The number of rows of the embedding, V.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>The width of the residual stream, D.</summary>
    public required int HiddenSize { get; init; }

    /// <summary>The width of the feed-forward layer, F.</summary>
    public required int IntermediateSize { get; init; }

    /// <summary>The number of decoder layers.</summary>
    public required int Layers { get; init; }

    /// <summary>The number of query heads, H.</summary>
    public required int Heads { get; init; }

    /// <summary>The number of key and value heads, KV, a divisor of H.</summary>
    public required int KeyValueHeads { get; init; }

    /// <summary>The width of a head, an even number. H times this may differ from D.</summary>
    public required int HeadDimension { get; init; }

    /// <summary>The epsilon of the norms.</summary>
    public double RmsNormEpsilon { get; init; } = 1e-6;

    /// <summary>The number of positions that the config allows, <c>max_position_embeddings</c>.</summary>
    public int MaxPositions { get; init; } = 2048;

    /// <summary>The length of the longest sequence that the model supports, with scaled rotary angles.</summary>
    public int LongestSequence => RopeScaling?.Longest(MaxPositions) ?? MaxPositions - FirstPosition;

    /// <summary>The row of the first token of a text in a learned embedding of positions.</summary>
    public int FirstPosition { get; init; }

    /// <summary>The number of kinds of tokens that have embeddings of their own; 0: they have none.</summary>
    public int TokenTypes { get; init; }

    /// <summary>The head for classes or a number in place of that for tokens; null: it predicts tokens.</summary>
    public ClassifierConfig? Classifier { get; init; }

    /// <summary>Whether the output head is the embedding.</summary>
    public bool TieWordEmbeddings { get; init; }

    /// <summary>Whether q, k and v have a bias (Qwen2 always, others by <c>attention_bias</c>).</summary>
    public bool QueryKeyValueBias { get; init; }

    /// <summary>Whether o has a bias (by <c>attention_bias</c>).</summary>
    public bool OutputBias { get; init; }

    /// <summary>Whether gate, up and down have a bias (by <c>mlp_bias</c>).</summary>
    public bool MlpBias { get; init; }

    /// <summary>
    /// Whether attention and the feed-forward layer read the same norm, in families that have both kinds of layers.
    /// </summary>
    public bool ParallelResidual { get; init; }

    /// <summary>
    /// Whether queries and keys have norms with weights for each head, in families that may have them.
    /// </summary>
    public bool HeadNorms { get; init; }

    /// <summary>The function between the matrices of the feed-forward layer.</summary>
    public Activation Activation { get; init; }

    /// <summary>The base of the rotary frequencies.</summary>
    public double RopeTheta { get; init; } = 10000;

    /// <summary>The share of a head's features that turn with their positions, the first ones.</summary>
    public double PartialRotaryFactor { get; init; } = 1;

    /// <summary>The number of features of a head that turn, an even number.</summary>
    public int RotaryDimension => (int)(HeadDimension * PartialRotaryFactor);

    /// <summary>The scaling of rotary angles; null: they are not scaled.</summary>
    public RopeScaling? RopeScaling { get; init; }

    /// <summary>The rotary angles in layers with a window; null: those of the other layers.</summary>
    public RotaryAngles? SlidingRotary { get; init; }

    /// <summary>
    /// The attention window: key j is visible to query i if 0 ≤ i − j &lt; window, in the layers that
    /// <see cref="SlidingLayers"/> names. 0: no window.
    /// </summary>
    public int SlidingWindow { get; init; }

    /// <summary>Whether each layer has the window; null: all have.</summary>
    public IReadOnlyList<bool>? SlidingLayers { get; init; }

    /// <summary>Whether each layer turns queries and keys by their positions; null: all do.</summary>
    public IReadOnlyList<bool>? RotaryLayers { get; init; }

    /// <summary>The mixtures of experts in place of feed-forward layers; null: the model has none.</summary>
    public ExpertsConfig? Experts { get; init; }

    /// <summary>The factor on queryᵀ key before the softmax; null: 1/√<see cref="HeadDimension"/>.</summary>
    public double? AttentionMultiplier { get; init; }

    /// <summary>
    /// The soft cap c of the scores of attention, which brings each scaled score s to c·tanh(s/c); 0: none.
    /// </summary>
    public double AttentionSoftCap { get; init; }

    /// <summary>The soft cap c of the logits, which brings each logit z to c·tanh(z/c); 0: none.</summary>
    public double LogitSoftCap { get; init; }

    /// <summary>The factor on the embedding of a token.</summary>
    public double EmbeddingMultiplier { get; init; } = 1;

    /// <summary>The factor on what attention and the feed-forward layer add to the residual stream.</summary>
    public double ResidualMultiplier { get; init; } = 1;

    /// <summary>The factor on the logits.</summary>
    public double LogitMultiplier { get; init; } = 1;

    /// <summary>The divisor of the logits.</summary>
    public double LogitDivisor { get; init; } = 1;

    /// <summary>The begin token, if the config names one.</summary>
    public int? BosTokenId { get; init; }

    /// <summary>
    /// The end tokens: those of config.json, then others of generation_config.json. The first one ends training
    /// records.
    /// </summary>
    public IReadOnlyList<int> EosTokenIds { get; init; } = [];

    /// <summary>The name of the file with the first end token.</summary>
    internal string EosSource { get; init; } = "config.json";

    /// <summary>
    /// The end token that transformers assumes for models of the family whose config names none; null: none.
    /// </summary>
    internal int? FamilyEosTokenId { get; init; }

    /// <summary>The warnings about keys that are unusual or ignored, one line each.</summary>
    public IReadOnlyList<string> Warnings { get; init; } = [];

    /// <summary>
    /// The element type of the weights as the config names it, such as <c>bfloat16</c>; null when it names none.
    /// </summary>
    public string? WeightType { get; init; }

    /// <summary>The standard deviation of freshly initialised weights (<c>initializer_range</c>).</summary>
    public double InitializerRange { get; init; } = 0.02;

    /// <summary>
    /// The keys of config.json that this record does not interpret, with their JSON text. They are written back
    /// unchanged.
    /// </summary>
    public IReadOnlyDictionary<string, string> OtherKeys { get; init; } = new Dictionary<string, string>();

    /// <summary>
    /// How the weights of the folder are quantised; null: they are not. It is not written: weights that are saved with
    /// a config are not quantised.
    /// </summary>
    internal QuantizationSettings? Quantization { get; init; }

    /// <summary>The model family that <see cref="ModelType"/> names.</summary>
    /// <exception cref="InvalidOperationException">No family has that name.</exception>
    internal ModelFamily Family =>
        ModelFamilies.Find(ModelType)
        ?? throw new InvalidOperationException(
            $"{nameof(ModelType)} is '{ModelType}', expected {ModelFamilies.Choices}"
        );

    /// <summary>The output layer: [V, D] for tokens, [labels, D] for classes.</summary>
    internal LinearSpec Head =>
        (Classifier, ClassifierLayout) is ({ } classifier, { } layout)
            ? new LinearSpec(layout.Head, classifier.Labels.Count, HiddenSize, layout.HasBias)
            : new LinearSpec(Family.Head, VocabularySize, HiddenSize, Family.HeadHasBias);

    /// <summary>
    /// The name of the weight of <see cref="Head"/>. A checkpoint may lack it if it is tied to the embedding.
    /// </summary>
    internal string HeadWeight => Head.Weight;

    /// <summary>The layer before the output layer of a head for classes; null: there is none.</summary>
    internal LinearSpec? Pooler =>
        ClassifierLayout?.Pooler is { } name ? new LinearSpec(name, HiddenSize, HiddenSize, true) : null;

    /// <summary>The modules of the head for classes; null: the model predicts tokens.</summary>
    internal ClassifierLayout? ClassifierLayout => Classifier is { } head ? Family.LayoutOf(head.Kind) : null;

    /// <summary>The number of parameters. An embedding shared with the head counts once.</summary>
    public long ParameterCount => ModelTensors.For(this).Sum(tensor => tensor.Count);

    /// <summary>Returns the attention window of a layer; 0: none.</summary>
    public int WindowOf(int layer) => SlidingLayers?[layer] ?? true ? SlidingWindow : 0;

    /// <summary>Returns whether a layer turns queries and keys by their positions.</summary>
    public bool Rotates(int layer) => RotaryLayers?[layer] ?? true;

    /// <summary>Returns the angles by which queries and keys of a layer turn, if they do.</summary>
    public RotaryAngles RotaryOf(int layer) => (WindowOf(layer) > 0 ? SlidingRotary : null) ?? Rotary;

    /// <summary>
    /// Returns the rotary angle per position for each of the RotaryDimension/2 pairs, in layers without angles of their
    /// own.
    /// </summary>
    /// <param name="positions">The length of the sequence, on which some scalings depend.</param>
    public float[] RotaryFrequencies(int positions = 1) => Rotary.Frequencies(RotaryDimension, positions);

    /// <summary>Whether the rotary angles of any layer depend on the length of the sequence.</summary>
    internal bool AnglesFollowLength =>
        Rotary.Scaling is { FollowsLength: true } || SlidingRotary?.Scaling is { FollowsLength: true };

    private RotaryAngles Rotary => new(RopeTheta, RopeScaling);

    /// <summary>Reads <c>config.json</c> of a model folder and, if it exists, <c>generation_config.json</c>.</summary>
    /// <exception cref="InputException">
    /// A file is missing or not JSON, or a key has an impossible value; the message names the key.
    /// </exception>
    public static ModelConfig Load(string directory) => ModelConfigFile.Load(directory);

    /// <summary>Writes <c>config.json</c> into a folder that exists.</summary>
    public void Save(string directory) => ModelConfigFile.Save(this, directory);
}
