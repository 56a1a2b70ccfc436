using Spectral.Training.Models;

namespace Spectral.Training.Gguf.Architectures;

/// <summary>
/// One of llama.cpp's architectures: the families that it computes, its names of their layers, and what it wants to
/// know of a config.
/// </summary>
/// <remarks>
/// To add one, add one file with one subclass to this folder. <see cref="GgufArchitectures"/> finds it. What an
/// architecture cannot compute is an obstacle: its file would be read, and give other logits.
/// </remarks>
internal abstract class GgufArchitecture
{
    /// <summary>llama.cpp's name of the architecture, which is also the prefix of its keys.</summary>
    public abstract string Name { get; }

    /// <summary>The values of <c>model_type</c> that it computes.</summary>
    public virtual IReadOnlyList<string> ModelTypes => [Name];

    /// <summary>
    /// Whether it turns neighbouring features of a head together where the families turn those of the first half with
    /// those of the second, so that rows of queries and keys change places.
    /// </summary>
    public virtual bool PairsRows => false;

    /// <summary>Whether the file has a head of its own even if it is the embedding.</summary>
    public virtual bool NeedsHead => false;

    /// <summary>Whether it reads divisors of rotary angles, as Llama 3's scaling has them.</summary>
    public virtual bool ReadsAngleDivisors => false;

    /// <summary>Whether it reads divisors of angles for short and for long texts, as LongRoPE has them.</summary>
    public virtual bool ReadsLongAngles => false;

    /// <summary>The modules, by llama.cpp's names, at whose LoRA it stops; usually none.</summary>
    public virtual IReadOnlyList<string> NotAdapted => [];

    /// <summary>The key of the norms' epsilon, without the prefix.</summary>
    protected virtual string EpsilonKey => "attention.layer_norm_rms_epsilon";

    /// <summary>The activation of the feed-forward layer, of which it has no choice.</summary>
    protected virtual Activation Activation => Activation.Silu;

    /// <summary>Whether the head is the embedding in all its models.</summary>
    protected virtual bool SharesHead => false;

    /// <summary>Whether heads have to be as wide as the model over their number.</summary>
    protected virtual bool DividesWidth => false;

    /// <summary>Whether all features of a head turn.</summary>
    protected virtual bool TurnsWholeHeads => true;

    /// <summary>Whether the output of attention may have a bias.</summary>
    protected virtual bool TakesOutputBias => false;

    /// <summary>Whether the feed-forward layer may have biases.</summary>
    protected virtual bool TakesMlpBias => false;

    /// <summary>Whether it limits how far attention looks back.</summary>
    protected virtual bool HasWindows => false;

    /// <summary>Whether it has layers that do not turn queries and keys, or none that do.</summary>
    protected virtual bool ChoosesRotation => false;

    /// <summary>Whether it takes a factor on scores other than 1/√(width of a head).</summary>
    protected virtual bool ScalesScores => false;

    /// <summary>llama.cpp's names of the modules of a layer, by their names within the layer.</summary>
    public virtual IReadOnlyDictionary<string, string> Modules { get; } =
        new Dictionary<string, string>
        {
            ["input_layernorm"] = "attn_norm",
            ["self_attn.q_proj"] = "attn_q",
            ["self_attn.k_proj"] = "attn_k",
            ["self_attn.v_proj"] = "attn_v",
            ["self_attn.qkv_proj"] = "attn_qkv",
            ["self_attn.o_proj"] = "attn_output",
            ["self_attn.q_norm"] = "attn_q_norm",
            ["self_attn.k_norm"] = "attn_k_norm",
            ["post_attention_layernorm"] = "ffn_norm",
            ["mlp.gate_proj"] = "ffn_gate",
            ["mlp.up_proj"] = "ffn_up",
            ["mlp.gate_up_proj"] = "ffn_up",
            ["mlp.down_proj"] = "ffn_down",
        };

    /// <summary>
    /// Returns what of a config the architecture cannot compute, each with what is expected instead; usually none.
    /// </summary>
    public virtual IEnumerable<string> Obstacles(ModelConfig config)
    {
        if (config.Classifier is not null)
            yield return "a head for classes or a number, expected one for tokens";
        if (config.Activation != Activation)
            yield return $"the activation {config.Activation}, expected {Activation}";
        if (SharesHead && !config.TieWordEmbeddings)
            yield return "a head of its own, expected that it is the embedding";
        if (DividesWidth && config.Heads * config.HeadDimension != config.HiddenSize)
        {
            yield return $"heads of {config.HeadDimension} features, expected {config.HiddenSize} / {config.Heads}, "
                + "hidden_size over their number";
        }
        if (TurnsWholeHeads && config.RotaryDimension != config.HeadDimension)
            yield return $"heads of which {config.RotaryDimension} features turn, expected {config.HeadDimension}, all";
        if (config.OutputBias && !TakesOutputBias)
            yield return "a bias of the output of attention, expected none";
        if (config.MlpBias && !TakesMlpBias)
            yield return "biases of the feed-forward layer, expected none";
        if (!ChoosesRotation && config.RotaryLayers?.Contains(false) == true)
            yield return "layers that do not turn queries and keys, expected none";
        if (!ScalesScores && config.AttentionMultiplier is { } scale && !IsUsual(scale, config.HeadDimension))
        {
            yield return FormattableString.Invariant($"the factor {scale:R} on scores, expected ")
                + FormattableString.Invariant($"{1 / Math.Sqrt(config.HeadDimension):R}");
        }
        foreach (string obstacle in RotaryKeys.Obstacles(this, config))
            yield return obstacle;
    }

    /// <summary>Returns what differs from the model without being an obstacle, one line each.</summary>
    public virtual IEnumerable<string> Warnings(ModelConfig config)
    {
        bool slides = Enumerable.Range(0, config.Layers).Any(layer => config.WindowOf(layer) > 0);
        if (!HasWindows && slides && config.SlidingWindow < config.MaxPositions)
        {
            yield return $"llama.cpp's {Name} looks back without limit; beyond {config.SlidingWindow} tokens, the "
                + "model's window, it computes something else";
        }
        foreach (string warning in RotaryKeys.Warnings(config))
            yield return warning;
    }

    /// <summary>Adds the sizes and options of a config, under keys with the architecture's prefix.</summary>
    public virtual void Describe(ModelConfig config, GgufMetadata metadata)
    {
        metadata.Add(Key("vocab_size"), config.VocabularySize);
        metadata.Add(Key("context_length"), config.MaxPositions);
        metadata.Add(Key("embedding_length"), config.HiddenSize);
        metadata.Add(Key("block_count"), config.Layers);
        metadata.Add(Key("feed_forward_length"), config.IntermediateSize);
        metadata.Add(Key("attention.head_count"), config.Heads);
        metadata.Add(Key("attention.head_count_kv"), config.KeyValueHeads);
        metadata.Add(Key("attention.key_length"), config.HeadDimension);
        metadata.Add(Key("attention.value_length"), config.HeadDimension);
        metadata.Add(Key(EpsilonKey), config.RmsNormEpsilon);
        RotaryKeys.Add(this, config, metadata);
    }

    /// <summary>Lists tensors that follow from the config alone.</summary>
    public virtual IEnumerable<GgufTensor> Extras(ModelConfig config) => RotaryKeys.Tensors(config);

    /// <summary>Returns a key with the architecture's prefix.</summary>
    public string Key(string name) => $"{Name}.{name}";

    /// <summary>Returns whether a factor on scores is 1/√d but for rounding.</summary>
    protected static bool IsUsual(double scale, double width) => Math.Abs(scale * Math.Sqrt(width) - 1) < 1e-6;
}
