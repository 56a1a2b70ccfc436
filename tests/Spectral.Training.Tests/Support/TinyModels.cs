using Spectral.Kernels;
using Spectral.Training.Data;
using Spectral.Training.Models;
using Spectral.Training.Optim;
using Spectral.Training.Quantization;

namespace Spectral.Training.Tests.Support;

/// <summary>
/// Models small enough for a double reference with central differences, in every variation the config allows.
/// </summary>
internal static class TinyModels
{
    /// <summary>Grouped heads, untied head.</summary>
    public static ModelConfig Llama { get; } =
        new()
        {
            ModelType = "llama",
            VocabularySize = 13,
            HiddenSize = 12,
            IntermediateSize = 10,
            Layers = 2,
            Heads = 4,
            KeyValueHeads = 2,
            HeadDimension = 4,
            RmsNormEpsilon = 1e-5,
            MaxPositions = 64,
            InitializerRange = 0.4, // large enough that softmax and SiLU are far from linear
            EosTokenIds = [0],
        };

    /// <summary>Biases on q, k, v; head tied to the embedding.</summary>
    public static ModelConfig Qwen2 { get; } =
        Llama with
        {
            ModelType = "qwen2",
            QueryKeyValueBias = true,
            TieWordEmbeddings = true,
        };

    /// <summary>Sliding window, one key/value head.</summary>
    public static ModelConfig Mistral { get; } =
        Llama with
        {
            ModelType = "mistral",
            KeyValueHeads = 1,
            SlidingWindow = 3,
        };

    /// <summary>Every bias there is, stretched rotary angles, another gate, window only in the second layer.</summary>
    public static ModelConfig Everything { get; } =
        Llama with
        {
            QueryKeyValueBias = true,
            OutputBias = true,
            MlpBias = true,
            Activation = Activation.Gelu,
            SlidingWindow = 2,
            SlidingLayers = [false, true],
            RopeScaling = new Llama3Scaling(8, 1, 4, 16),
        };

    /// <summary>Norms of each head's queries and keys, wide heads, a window in one layer.</summary>
    public static ModelConfig Qwen3 { get; } =
        Llama with
        {
            ModelType = "qwen3",
            HeadDimension = 6,
            SlidingWindow = 3,
            SlidingLayers = [true, false],
        };

    /// <summary>Norms after attention and the feed-forward layer, and over all queries and all keys.</summary>
    public static ModelConfig Olmo2 { get; } = Llama with { ModelType = "olmo2", Activation = Activation.GeluTanh };

    /// <summary>Factors on embeddings, scores, the residual stream and logits.</summary>
    public static ModelConfig Granite { get; } =
        Llama with
        {
            ModelType = "granite",
            TieWordEmbeddings = true,
            EmbeddingMultiplier = 3,
            AttentionMultiplier = 0.8,
            ResidualMultiplier = 0.22,
            LogitDivisor = 0.7,
        };

    /// <summary>A layer that does not turn queries and keys, angles of a long sequence, sharpened attention.</summary>
    public static ModelConfig SmolLm3 { get; } =
        Llama with
        {
            ModelType = "smollm3",
            RotaryLayers = [true, false],
            RopeScaling = new YarnScaling(4, 16) { BetaFast = 2 },
        };

    /// <summary>Norms around 1, a gate of GELU, scaled embeddings, wide heads in one group.</summary>
    public static ModelConfig Gemma { get; } =
        Llama with
        {
            ModelType = "gemma",
            KeyValueHeads = 1,
            HeadDimension = 6,
            TieWordEmbeddings = true,
            Activation = Activation.GeluTanh,
            EmbeddingMultiplier = Math.Sqrt(12),
        };

    /// <summary>Four norms in a layer, a window in the first one, soft caps that bend most scores and logits.</summary>
    public static ModelConfig Gemma2 { get; } =
        Gemma with
        {
            ModelType = "gemma2",
            KeyValueHeads = 2,
            QueryKeyValueBias = true,
            OutputBias = true,
            AttentionMultiplier = Math.Pow(5, -0.5),
            AttentionSoftCap = 1.5,
            LogitSoftCap = 2.5,
            SlidingWindow = 3,
            SlidingLayers = [true, false],
        };

    /// <summary>Norms of heads, and rotary angles that differ between layers with and without a window.</summary>
    public static ModelConfig Gemma3 { get; } =
        Gemma with
        {
            ModelType = "gemma3_text",
            TieWordEmbeddings = false,
            AttentionMultiplier = Math.Pow(7, -0.5),
            LogitSoftCap = 4,
            SlidingWindow = 3,
            SlidingLayers = [true, false],
            RopeTheta = 500,
            RopeScaling = new LinearScaling(2),
            SlidingRotary = new RotaryAngles(20, null),
        };

    /// <summary>
    /// Fused projections, heads of which three quarters turn, by the angles of long sequences, a window.
    /// </summary>
    public static ModelConfig Phi3 { get; } =
        Llama with
        {
            ModelType = "phi3",
            HeadDimension = 8,
            PartialRotaryFactor = 0.8, // 6.4 features, which is 6
            SlidingWindow = 4,
            RopeScaling = new LongRopeScaling([1, 1.5, 3], [2, 5, 7], 6, 1.1),
        };

    /// <summary>A norm before and after each block, a fused gate, biases on q, k and v, half a head turns.</summary>
    public static ModelConfig Glm4 { get; } =
        Llama with
        {
            ModelType = "glm4",
            HeadDimension = 8,
            PartialRotaryFactor = 0.5,
            QueryKeyValueBias = true,
        };

    /// <summary>The same with norms only before the blocks, no biases and one group of heads.</summary>
    public static ModelConfig Glm { get; } =
        Llama with
        {
            ModelType = "glm",
            KeyValueHeads = 1,
            PartialRotaryFactor = 0.5,
        };

    /// <summary>Attention beside the feed-forward layer, and a layer that sees all and does not turn.</summary>
    public static ModelConfig Cohere2 { get; } =
        Llama with
        {
            ModelType = "cohere2",
            HeadDimension = 6,
            TieWordEmbeddings = true,
            LogitMultiplier = 0.6,
            SlidingWindow = 3,
            SlidingLayers = [true, false],
            RotaryLayers = [true, false],
        };

    /// <summary>The same with every bias of attention, and rotation in all layers.</summary>
    public static ModelConfig Cohere { get; } =
        Llama with
        {
            ModelType = "cohere",
            QueryKeyValueBias = true,
            OutputBias = true,
            LogitMultiplier = 1.7,
        };

    /// <summary>Layer norms with biases, a feed-forward layer without a gate, a window.</summary>
    public static ModelConfig Starcoder2 { get; } =
        Llama with
        {
            ModelType = "starcoder2",
            TieWordEmbeddings = true,
            Activation = Activation.GeluTanh,
            QueryKeyValueBias = true,
            OutputBias = true,
            MlpBias = true,
            SlidingWindow = 3,
        };

    /// <summary>
    /// Layer norms with biases, of which both halves of a layer read one, heads of which a part turns.
    /// </summary>
    public static ModelConfig StableLm { get; } =
        Llama with
        {
            ModelType = "stablelm",
            Heads = 2,
            KeyValueHeads = 1,
            HeadDimension = 6,
            PartialRotaryFactor = 0.34, // 2.04 features, which is 2
            QueryKeyValueBias = true,
            ParallelResidual = true,
        };

    /// <summary>The same with a norm for each half, whose layers lack biases.</summary>
    public static ModelConfig StableLmInTurn { get; } =
        StableLm with
        {
            QueryKeyValueBias = false,
            ParallelResidual = false,
        };

    /// <summary>The same as <see cref="StableLm"/> with layer norms of each head's queries and keys.</summary>
    public static ModelConfig StableLmNormed { get; } = StableLm with { HeadNorms = true };

    /// <summary>As <see cref="Cohere"/>, with norms of queries and keys whose weights differ between heads.</summary>
    public static ModelConfig CohereNormed { get; } =
        Cohere with
        {
            HeadNorms = true,
            QueryKeyValueBias = false,
            OutputBias = false,
        };

    /// <summary>
    /// One layer norm for attention and a feed-forward layer without a gate, a bias on everything, the head included.
    /// </summary>
    public static ModelConfig Phi { get; } =
        Llama with
        {
            ModelType = "phi",
            HeadDimension = 6,
            KeyValueHeads = 1,
            PartialRotaryFactor = 0.34, // 2.04 features, which is 2
            Activation = Activation.GeluTanh,
            QueryKeyValueBias = true,
            OutputBias = true,
            MlpBias = true,
            ParallelResidual = true,
        };

    /// <summary>Learned positions, a fused projection, weights that files have transposed.</summary>
    public static ModelConfig Gpt2 { get; } =
        Llama with
        {
            ModelType = "gpt2",
            HeadDimension = 6,
            Heads = 2,
            KeyValueHeads = 2,
            TieWordEmbeddings = true,
            Activation = Activation.GeluTanh,
            QueryKeyValueBias = true,
            OutputBias = true,
            MlpBias = true,
            RotaryLayers = [false, false],
        };

    /// <summary>A mixture of experts in each layer, whose weights sum to 1 for a token.</summary>
    public static ModelConfig Mixtral { get; } =
        Llama with
        {
            ModelType = "mixtral",
            SlidingWindow = 3,
            Experts = new()
            {
                Count = 5,
                PerToken = 2,
                NormalisesWeights = true,
            },
        };

    /// <summary>
    /// Experts in one layer, narrower than the feed-forward layer of the other, with their probabilities.
    /// </summary>
    public static ModelConfig Qwen3Moe { get; } =
        Llama with
        {
            ModelType = "qwen3_moe",
            QueryKeyValueBias = true,
            OutputBias = true,
            HeadDimension = 6,
            Experts = new()
            {
                Count = 7,
                PerToken = 3,
                IntermediateSize = 5,
                Layers = [false, true],
            },
        };

    public static ModelConfig[] All =>
        [
            Llama,
            Qwen2,
            Mistral,
            Everything,
            Qwen3,
            Olmo2,
            Granite,
            SmolLm3,
            Phi3,
            Glm4,
            Glm,
            Cohere2,
            Cohere,
            Starcoder2,
            StableLm,
            StableLmInTurn,
            StableLmNormed,
            CohereNormed,
            Phi,
            Gpt2,
            Gemma,
            Gemma2,
            Gemma3,
            Mixtral,
            Qwen3Moe,
        ];

    /// <summary>
    /// Records with random tokens of unequal length; the first token carries no loss, nor does any before
    /// <c>LossFrom</c>.
    /// </summary>
    public static EncodedRecord[] Records(int count, ModelConfig config, Random random, int longest = 7) =>
        [
            .. Enumerable
                .Range(0, count)
                .Select(_ =>
                {
                    int length = random.Next(3, longest + 1);
                    int prompt = random.Next(1, length - 1);
                    return new EncodedRecord(
                        [.. Enumerable.Range(0, length).Select(_ => random.Next(config.VocabularySize))],
                        prompt,
                        prompt,
                        false
                    )
                    {
                        HasCompletion = true,
                    };
                }),
        ];

    /// <summary>
    /// A frozen model: freshly initialised with nonzero biases, written to a folder and loaded from there.
    /// </summary>
    public static CausalLanguageModel Frozen(
        ModelConfig config,
        Device device,
        TemporaryFolder folder,
        DType type = DType.F32,
        BaseQuantization? quantization = null
    )
    {
        using (CausalLanguageModel model = Trainable(config, device))
            model.Save(folder.Path, null);
        using var opened = ModelFolder.Open(folder.Path, quantization: quantization);
        return CausalLanguageModel.Load(opened, device, type);
    }

    /// <summary>
    /// A model all of whose weights train, biases and norms included, none of them at a special value.
    /// </summary>
    public static CausalLanguageModel Trainable(ModelConfig config, Device device)
    {
        var model = CausalLanguageModel.Initialize(config, device, DType.F32, 5);
        Random random = new(17);
        foreach (Parameter parameter in model.Trainable!.Parameters.Where(IsVector))
        {
            parameter.Master.CopyFrom([
                .. parameter.Master.ToArray().Select(value => value + 0.3f * (float)(random.NextDouble() - 0.5)),
            ]);
        }

        model.Trainable.NotifyChanged();
        return model;

        static bool IsVector(Parameter parameter) =>
            parameter.Value.Shape.Rank == 1 || parameter.Name.EndsWith("norm.weight", StringComparison.Ordinal);
    }

    /// <summary>The values of all parameters of a set, by name.</summary>
    public static Dictionary<string, double[]> Values(ParameterSet set) =>
        set.Parameters.ToDictionary(
            parameter => parameter.Name,
            parameter => Array.ConvertAll(parameter.Master.ToArray(), value => (double)value)
        );
}
