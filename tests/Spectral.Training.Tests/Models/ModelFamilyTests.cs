using System.Runtime.CompilerServices;
using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Models;

/// <summary>Families are found by being there, and nothing outside their files knows their names.</summary>
public sealed class ModelFamilyTests
{
    private static IEnumerable<string> Names => ModelFamilies.All.Select(family => family.ModelType);

    [Test]
    public void EveryFamilyOfTheLibraryIsListed()
    {
        IEnumerable<Type> written = typeof(ModelFamily)
            .Assembly.GetTypes()
            .Where(type => type.IsSubclassOf(typeof(ModelFamily)) && !type.IsAbstract);
        Assert.That(ModelFamilies.All.Select(family => family.GetType()), Is.EquivalentTo(written));
    }

    [Test]
    public void MessagesListEveryFamily() =>
        Assert.That(ModelFamilies.Choices.Split([", ", " or "], default), Is.EqualTo(Names));

    [Test]
    public void EveryFamilyMakesAModelOfTheTensorsThatItNames([ValueSource(nameof(Names))] string name)
    {
        ModelConfig config = Config(name);
        ModelFamily family = config.Family;
        string[] tensors = [.. ModelTensors.For(config).Select(tensor => tensor.Name)];
        using var model = CausalLanguageModel.Initialize(config, Devices.Get(DeviceKind.Cpu), DType.F32, seed: 1);
        Assert.That(tensors, Is.Unique);
        Assert.That(
            tensors,
            Is.SupersetOf(
                new[] { family.EmbeddingWeight, family.LastNorm(config)?.Weight, config.HeadWeight }.OfType<string>()
            )
        );
        Assert.That(model.ParameterCount, Is.EqualTo(config.ParameterCount));
        Assert.That(
            model.Linears.Select(linear => linear.Name),
            Is.EqualTo(ModelTensors.Linears(config).Select(linear => linear.Name))
        );
    }

    [Test]
    public void AnAdapterChangesTheLayersOfTheFamilyByDefault([ValueSource(nameof(Names))] string name)
    {
        ModelConfig config = Config(name);
        // Experts have adapters only if they are asked for.
        IEnumerable<LinearSpec> expected = ModelTensors
            .Linears(config)
            .Where(linear => config.Experts is null || linear.Name.Contains("self_attn", StringComparison.Ordinal))
            // As PEFT has it for encoders.
            .Where(linear =>
                !config.Family.SeesAhead
                || linear.Name.EndsWith("query", StringComparison.Ordinal)
                || linear.Name.EndsWith("value", StringComparison.Ordinal)
            );
        Assert.That(
            AdapterTargets.Of(config, new AdapterOptions()).Select(shape => shape.Name),
            Is.EqualTo(expected.Select(linear => linear.Name))
        );
        Assert.That(
            ModelTensors.Linears(config).Select(linear => linear.Name),
            Has.Some.EndsWith($".{config.Family.FeedForwardOutput}")
        );
    }

    /// <summary>An adapter's files say nothing of the family, but a head that follows the embedding is named.</summary>
    [Test]
    public void FamiliesWithTheSameEmbeddingHaveTheSameHead() =>
        Assert.That(
            ModelFamilies.All.Select(family => ModelFamilies.HeadOf(family.Embedding)),
            Is.EqualTo(ModelFamilies.All.Select(family => family.Head))
        );

    [Test]
    public void AnUnknownFamilyIsRefusedByName()
    {
        ModelConfig config = TinyModels.Llama with { ModelType = "bloom" };
        Assert.That(
            () => config.ParameterCount,
            Throws.InvalidOperationException.With.Message.EqualTo(
                $"ModelType is 'bloom', expected {ModelFamilies.Choices}"
            )
        );
    }

    /// <summary>Two rooms name them: the families themselves, and what llama.cpp calls them in GGUF.</summary>
    [Test]
    public void NoOtherFileNamesAFamily()
    {
        string sources = Path.Combine(Path.GetDirectoryName(Here())!, "..", "..", "..", "src");
        if (!Directory.Exists(sources))
            Assert.Ignore("the source tree is not on this machine");
        string[] names = [.. Names.Select(name => $"\"{name}\"")];
        IEnumerable<string> others = Directory
            .EnumerateFiles(sources, "*.cs", SearchOption.AllDirectories)
            .Where(file => !file.Split(Path.DirectorySeparatorChar).Intersect(["Families", "Gguf"]).Any())
            .Where(file => Array.Exists(names, File.ReadAllText(file).Contains));
        Assert.That(others, Is.Empty);
    }

    private static ModelConfig Config(string name) =>
        (
            Array.Find([.. TinyModels.All, .. TinyClassifiers.Encoders], config => config.ModelType == name)
            ?? TinyModels.Llama with
            {
                ModelType = name,
            }
        ) with
        {
            TieWordEmbeddings = false,
        };

    private static string Here([CallerFilePath] string path = "") => path;
}
