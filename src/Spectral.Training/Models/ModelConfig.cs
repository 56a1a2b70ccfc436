using Spectral.Training.IO;

namespace Spectral.Training.Models;

/// <summary>
/// What <c>config.json</c> says about a decoder (<c>llama</c>, <c>mistral</c>, <c>qwen2</c>), with the defaults that
/// Hugging Face gives absent keys. Every value is checked: sizes are bounded so that no product of them overflows 63
/// bits.
/// </summary>
public sealed record ModelConfig
{
    internal const int MaximumPositions = 1 << 24;

    /// <summary>One of <c>llama</c>, <c>mistral</c>, <c>qwen2</c>.</summary>
    public required string ModelType { get; init; }

    /// <summary>Rows of the embedding, V.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>Width of the residual stream, D.</summary>
    public required int HiddenSize { get; init; }

    /// <summary>Width of the gated feed-forward layer, F.</summary>
    public required int IntermediateSize { get; init; }

    /// <summary>Number of decoder layers.</summary>
    public required int Layers { get; init; }

    /// <summary>Query heads, H.</summary>
    public required int Heads { get; init; }

    /// <summary>Key and value heads, KV; divides H.</summary>
    public required int KeyValueHeads { get; init; }

    /// <summary>Width of a head; even. H times it may differ from D.</summary>
    public required int HeadDimension { get; init; }

    /// <summary>The epsilon of the norms.</summary>
    public double RmsNormEpsilon { get; init; } = 1e-6;

    /// <summary>Longest sequence the model was made for.</summary>
    public int MaxPositions { get; init; } = 2048;

    /// <summary>Whether the output head is the embedding.</summary>
    public bool TieWordEmbeddings { get; init; }

    /// <summary>Whether q, k and v have a bias (Qwen2 always; Llama by <c>attention_bias</c>).</summary>
    public bool QueryKeyValueBias { get; init; }

    /// <summary>Whether o has a bias (Llama by <c>attention_bias</c>).</summary>
    public bool OutputBias { get; init; }

    /// <summary>Whether gate, up and down have a bias (Llama by <c>mlp_bias</c>).</summary>
    public bool MlpBias { get; init; }

    /// <summary>The base of the rotary frequencies.</summary>
    public double RopeTheta { get; init; } = 10000;

    /// <summary>Null when rotary angles are not stretched.</summary>
    public RopeScaling? RopeScaling { get; init; }

    /// <summary>
    /// Key j is visible to query i if 0 ≤ i − j &lt; window, in the layers from <see cref="FirstWindowLayer"/> on; 0 =
    /// no window.
    /// </summary>
    public int SlidingWindow { get; init; }

    /// <summary>The first layer that has the window: 0 in Mistral, <c>max_window_layers</c> in Qwen2.</summary>
    public int FirstWindowLayer { get; init; }

    /// <summary>The begin token, if the config names one.</summary>
    public int? BosTokenId { get; init; }

    /// <summary>
    /// The end tokens: config.json's, then any more of generation_config.json; the first one ends training records.
    /// </summary>
    public IReadOnlyList<int> EosTokenIds { get; init; } = [];

    /// <summary>The file whose end tokens come first.</summary>
    internal string EosSource { get; init; } = "config.json";

    /// <summary>
    /// The end token that transformers gives models of the family whose config says nothing of one; null where there is
    /// none.
    /// </summary>
    internal int? FamilyEosTokenId { get; init; }

    /// <summary>What in the config is odd or not heeded, one line each.</summary>
    public IReadOnlyList<string> Warnings { get; init; } = [];

    /// <summary>
    /// Element type of the weights as the config names it, such as <c>bfloat16</c>; null when it names none.
    /// </summary>
    public string? WeightType { get; init; }

    /// <summary>Standard deviation of freshly initialised weights (<c>initializer_range</c>).</summary>
    public double InitializerRange { get; init; } = 0.02;

    /// <summary>
    /// Keys of config.json that this record does not interpret, as JSON text; written back unchanged.
    /// </summary>
    public IReadOnlyDictionary<string, string> OtherKeys { get; init; } = new Dictionary<string, string>();

    /// <summary>The architecture that <see cref="ModelType"/> names.</summary>
    /// <exception cref="InvalidOperationException">It names none that is known here.</exception>
    internal ModelFamily Family =>
        ModelFamilies.Find(ModelType)
        ?? throw new InvalidOperationException(
            $"{nameof(ModelType)} is '{ModelType}', expected {ModelFamilies.Choices}"
        );

    /// <summary>Number of parameters, an embedding shared with the head counted once.</summary>
    public long ParameterCount => ModelTensors.For(this).Sum(tensor => tensor.Count);

    /// <summary>The attention window of a layer, 0 = none.</summary>
    public int WindowOf(int layer) => layer >= FirstWindowLayer ? SlidingWindow : 0;

    /// <summary>
    /// Rotary angle per position for each of the HeadDimension/2 pairs, rounded once to F32, in which Hugging Face
    /// holds them.
    /// </summary>
    public float[] RotaryFrequencies()
    {
        float[] frequencies = new float[HeadDimension / 2];
        for (int i = 0; i < frequencies.Length; i++)
        {
            double frequency = Math.Pow(RopeTheta, -2.0 * i / HeadDimension);
            frequencies[i] = (float)(RopeScaling?.Apply(frequency) ?? frequency);
        }
        return frequencies;
    }

    /// <summary>
    /// Reads <c>config.json</c> and, when it is there, <c>generation_config.json</c> of a model folder.
    /// </summary>
    /// <exception cref="InputException">
    /// A file is missing or not JSON, or a key has an impossible value; the message names the key.
    /// </exception>
    public static ModelConfig Load(string directory) => ModelConfigFile.Load(directory);

    /// <summary>Writes <c>config.json</c> into a folder that exists.</summary>
    public void Save(string directory) => ModelConfigFile.Save(this, directory);
}
