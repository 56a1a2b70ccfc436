using Spectral.Kernels;
using Spectral.Tests.Support;
using Spectral.Training.Generation;
using Spectral.Training.Gguf;
using Spectral.Training.Gguf.Export;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;
using Spectral.Training.Tokenization;

namespace Spectral.LlamaCpp.Tests;

/// <summary>The trained model of the samples, continued by llama.cpp.</summary>
public sealed class SampleTests : FolderTest
{
    private const int Tokens = 16;

    private static string Sample => Path.Combine(Repository.Root, "samples", "base-model");

    /// <summary>llama.cpp rounds the inputs of a product to the type of the weights, or to its blocks.</summary>
    [TestCase(GgufType.F32, Comparison.Sums)]
    [TestCase(GgufType.F16, 1e-3)] // 11 bits; 3.1e-4 was measured
    [TestCase(GgufType.BF16, 7e-3)] // 8 bits; 2.2e-3 was measured
    [TestCase(GgufType.Q8, 2e-2)] // 7 bits and a sign, the scale shared by 32; 5.7e-3 was measured
    public void LogitsAreWithinThePrecisionOfTheType(GgufType type, double bound)
    {
        using var device = Device.Cpu();
        using var opened = ModelFolder.Open(Sample);
        using var model = CausalLanguageModel.Load(opened, device, DType.F32);
        int[] ids = BpeTokenizer.Load(Sample).Encode("swap: mira tolan -> tolan mira");
        string path = folder.File("sample.gguf");
        GgufModel.Write(opened, path, type);
        using LlamaCppModel llama = new(path);
        float[][] expected = Comparison.Logits(model, ids);
        Comparison.Verify(llama.Logits(ids), expected, bound);
        if (type != GgufType.F32)
            Comparison.VerifyDifferent(llama.Logits(ids), expected, Comparison.Sums);
    }

    [Test]
    public void GreedyTokensAreTheSame(
        [Values] GgufType type,
        [Values("copy: mira tolan ->", "upper: besu zugema ->", "reverse: nobun ->", "join: mira tolan ->")]
            string prompt
    )
    {
        using var device = Device.Cpu();
        using var opened = ModelFolder.Open(Sample);
        using var model = CausalLanguageModel.Load(opened, device, DType.F32);
        int[] ids = BpeTokenizer.Load(Sample).EncodePrompt(prompt);
        int[] expected = TextGenerator.Generate(
            model,
            ids,
            new GenerationOptions { MaxTokens = Tokens, EndTokenIds = [] }
        );
        string path = folder.File("sample.gguf");
        GgufModel.Write(opened, path, type);
        using LlamaCppModel llama = new(path);
        Assert.That(llama.Tokenize(prompt), Is.EqualTo(ids));
        Assert.That(llama.Greedy(ids, Tokens), Is.EqualTo(expected));
    }
}
