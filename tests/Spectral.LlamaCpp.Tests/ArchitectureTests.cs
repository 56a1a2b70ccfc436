using Spectral.Kernels;
using Spectral.Training.Gguf;
using Spectral.Training.Gguf.Architectures;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;

namespace Spectral.LlamaCpp.Tests;

/// <summary>Models of each family, written to GGUF and computed by llama.cpp.</summary>
public sealed class ArchitectureTests : FolderTest
{
    [TestCaseSource(nameof(Models))]
    public void LlamaCppComputesTheSameLogits(string name)
    {
        ModelConfig config = SmallModels.All[name];
        using var device = Device.Cpu();
        using CausalLanguageModel model = SmallModels.Write(config, device, folder);
        using LlamaCppModel llama = new(SmallModels.Convert(folder, GgufType.F32));
        Comparison.Verify(
            llama.Logits(Comparison.Prompt),
            Comparison.Logits(model, Comparison.Prompt),
            Comparison.BoundOf(config)
        );
    }

    [Test]
    public void EveryArchitectureIsTried() =>
        Assert.That(
            SmallModels.All.Values.Select(config => config.ModelType).Distinct(),
            Is.EquivalentTo(GgufArchitectures.All.SelectMany(each => each.ModelTypes).Except(["phi4"])),
            "phi4 is another name of phi3"
        );

    private static string[] Models => [.. SmallModels.All.Keys];
}
