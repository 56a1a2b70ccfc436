using Spectral.Kernels;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;
using Spectral.Training.Tokenization;

namespace Spectral.Embedding.Tests;

/// <summary>A model folder that is small enough to train in a test.</summary>
internal static class SmallModels
{
    public static void Write(TemporaryFolder folder, Device device)
    {
        BpeTokenizer tokenizer = TokenizerFiles.Load(folder, TokenizerFiles.ByteLevel(null, [("a", "b")]));
        ModelConfig config = new()
        {
            ModelType = "llama",
            VocabularySize = tokenizer.VocabularySize,
            HiddenSize = 12,
            IntermediateSize = 10,
            Layers = 2,
            Heads = 4,
            KeyValueHeads = 2,
            HeadDimension = 4,
            MaxPositions = 64,
            InitializerRange = 0.1,
            EosTokenIds = [0],
        };
        using var model = CausalLanguageModel.Initialize(config, device, DType.F32, seed: 1);
        model.Save(folder.Path, null);
    }
}
