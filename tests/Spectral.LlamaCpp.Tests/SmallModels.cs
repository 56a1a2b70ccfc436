using Spectral.Kernels;
using Spectral.Training.Gguf;
using Spectral.Training.Gguf.Export;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;

namespace Spectral.LlamaCpp.Tests;

/// <summary>Small models of each family, within what llama.cpp's architectures compute.</summary>
internal static class SmallModels
{
    private static readonly ModelConfig Llama = TinyModels.Llama with
    {
        VocabularySize = 264,
        HiddenSize = 64,
        IntermediateSize = 96,
        Layers = 4,
        Heads = 4,
        KeyValueHeads = 2,
        HeadDimension = 16,
        MaxPositions = 128,
        QueryKeyValueBias = true,
        InitializerRange = 0.2,
    };

    public static IReadOnlyDictionary<string, ModelConfig> All { get; } =
        new Dictionary<string, ModelConfig>
        {
            ["llama"] = Llama,
            ["llama-plain"] = Llama with { QueryKeyValueBias = false },
            ["llama3"] = Llama with
            {
                RopeScaling = new Llama3Scaling(8, 1, 4, 16),
                HeadDimension = 20,
                TieWordEmbeddings = true,
            },
            ["llama-biases"] = Llama with { OutputBias = true, MlpBias = true },
            ["llama-linear"] = Llama with { RopeScaling = new LinearScaling(3) },
            ["llama-yarn"] = Llama with { RopeScaling = new YarnScaling(4, 1024) },
            ["mistral"] = Llama with { ModelType = "mistral", SlidingWindow = 128, KeyValueHeads = 1 },
            ["mixtral"] = Llama with
            {
                ModelType = "mixtral",
                Experts = new()
                {
                    Count = 5,
                    PerToken = 2,
                    NormalisesWeights = true,
                },
            },
            ["qwen2"] = Llama with { ModelType = "qwen2", TieWordEmbeddings = true },
            ["qwen3"] = Llama with { ModelType = "qwen3", HeadDimension = 20 },
            ["qwen3_moe"] = Llama with
            {
                ModelType = "qwen3_moe",
                HeadDimension = 20,
                Experts = new()
                {
                    Count = 7,
                    PerToken = 3,
                    IntermediateSize = 32,
                    NormalisesWeights = true,
                    Layers = [true, true, true, true],
                },
            },
            ["granite"] = Llama with
            {
                ModelType = "granite",
                TieWordEmbeddings = true,
                EmbeddingMultiplier = 3,
                AttentionMultiplier = 0.4,
                ResidualMultiplier = 0.22,
                LogitDivisor = 0.7,
            },
            ["olmo2"] = Llama with { ModelType = "olmo2", TieWordEmbeddings = true },
            ["smollm3"] = Llama with { ModelType = "smollm3", RotaryLayers = [true, true, true, false] },
            ["gemma"] = Gemma("gemma") with { AttentionMultiplier = null },
            ["gemma2"] = Gemma("gemma2") with
            {
                AttentionSoftCap = 1.5,
                LogitSoftCap = 2.5,
                SlidingWindow = 3,
                SlidingLayers = [true, false, true, false],
            },
            ["gemma3"] = Gemma("gemma3_text") with
            {
                SlidingWindow = 3,
                SlidingLayers = [true, true, false, true],
                RopeTheta = 5000,
                RopeScaling = new LinearScaling(2),
                SlidingRotary = new RotaryAngles(200, null),
            },
            ["gemma3-cap"] = Gemma("gemma3_text") with { LogitSoftCap = 2.5, SlidingWindow = 3 },
            ["phi"] = Llama with
            {
                ModelType = "phi",
                KeyValueHeads = 4,
                PartialRotaryFactor = 0.5,
                Activation = Activation.GeluTanh,
                OutputBias = true,
                MlpBias = true,
                ParallelResidual = true,
            },
            ["phi3"] = Llama with { ModelType = "phi3", PartialRotaryFactor = 0.75 },
            ["phi3-longrope"] = Llama with
            {
                ModelType = "phi3",
                RopeScaling = new LongRopeScaling([1, 1.5, 3, 1, 1, 2, 1, 1], [2, 5, 7, 1, 1, 3, 1, 1], 256, 1.1),
            },
            ["glm4"] = Llama with { ModelType = "glm4", PartialRotaryFactor = 0.5, HeadDimension = 20 },
            ["glm"] = Llama with { ModelType = "glm", PartialRotaryFactor = 0.5 },
            ["cohere"] = Llama with { ModelType = "cohere", TieWordEmbeddings = true, LogitMultiplier = 1.7 },
            ["cohere2"] = Llama with
            {
                ModelType = "cohere2",
                TieWordEmbeddings = true,
                LogitMultiplier = 0.6,
                SlidingWindow = 3,
                SlidingLayers = [true, false, true, false],
                RotaryLayers = [true, false, true, false],
            },
            ["stablelm"] = Llama with { ModelType = "stablelm", PartialRotaryFactor = 0.25, QueryKeyValueBias = false },
            ["stablelm-parallel"] = Llama with
            {
                ModelType = "stablelm",
                PartialRotaryFactor = 0.25,
                ParallelResidual = true,
            },
            ["starcoder2"] = Llama with
            {
                ModelType = "starcoder2",
                TieWordEmbeddings = true,
                Activation = Activation.GeluTanh,
                OutputBias = true,
                MlpBias = true,
            },
            ["gpt2"] = Llama with
            {
                ModelType = "gpt2",
                KeyValueHeads = 4,
                TieWordEmbeddings = true,
                Activation = Activation.GeluTanh,
                OutputBias = true,
                MlpBias = true,
                RotaryLayers = [false, false, false, false],
            },
        };

    /// <summary>Writes a frozen model with a tokenizer into a folder, and returns it.</summary>
    public static CausalLanguageModel Write(ModelConfig config, Device device, TemporaryFolder folder)
    {
        folder.Write(
            "tokenizer.json",
            TokenizerFiles.ByteLevel(null, [], TokenizerFiles.Added("<|end|>")).ToJsonString()
        );
        return TinyModels.Frozen(config, device, folder);
    }

    /// <summary>Writes the model of a folder as a GGUF file in it, and returns the file.</summary>
    public static string Convert(TemporaryFolder folder, GgufType type)
    {
        string path = folder.File("model.gguf");
        using var opened = ModelFolder.Open(folder.Path);
        GgufModel.Write(opened, path, type);
        return path;
    }

    private static ModelConfig Gemma(string type) =>
        Llama with
        {
            ModelType = type,
            HeadDimension = 20,
            TieWordEmbeddings = true,
            Activation = Activation.GeluTanh,
            EmbeddingMultiplier = 8,
            AttentionMultiplier = Math.Pow(20, -0.5),
        };
}
