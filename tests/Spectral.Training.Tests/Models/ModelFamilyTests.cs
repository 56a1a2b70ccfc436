using System.Runtime.CompilerServices;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Models;

/// <summary>Families are found by being there, and nothing outside their files knows their names.</summary>
public sealed class ModelFamilyTests
{
    [Test]
    public void EveryFamilyOfTheLibraryIsListed()
    {
        IEnumerable<Type> written = typeof(ModelFamily)
            .Assembly.GetTypes()
            .Where(type => type.IsSubclassOf(typeof(ModelFamily)) && !type.IsAbstract);
        Assert.That(ModelFamilies.All.Select(family => family.GetType()), Is.EquivalentTo(written));
        Assert.That(ModelFamilies.Choices, Is.EqualTo("llama, mistral or qwen2"));
    }

    [Test]
    public void AnUnknownFamilyIsRefusedByName()
    {
        ModelConfig config = TinyModels.Llama with { ModelType = "gpt2" };
        Assert.That(
            () => config.ParameterCount,
            Throws.InvalidOperationException.With.Message.EqualTo(
                "ModelType is 'gpt2', expected llama, mistral or qwen2"
            )
        );
    }

    [Test]
    public void NoOtherFileNamesAFamily()
    {
        string sources = Path.Combine(Path.GetDirectoryName(Here())!, "..", "..", "..", "src");
        if (!Directory.Exists(sources))
            Assert.Ignore("the source tree is not on this machine");
        string[] names = [.. ModelFamilies.All.Select(family => $"\"{family.ModelType}\"")];
        IEnumerable<string> others = Directory
            .EnumerateFiles(sources, "*.cs", SearchOption.AllDirectories)
            .Where(file => Path.GetFileName(Path.GetDirectoryName(file)) != "Families")
            .Where(file => Array.Exists(names, File.ReadAllText(file).Contains));
        Assert.That(others, Is.Empty);
    }

    private static string Here([CallerFilePath] string path = "") => path;
}
