using System.Runtime.CompilerServices;
using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;
using Spectral.Training.Tokenization;

namespace Spectral.Training.Tests;

/// <summary>
/// The code that README.md and docs/embedding.md show is the code compiled here, is short, and trains.
/// </summary>
public sealed class DocumentedCodeTests
{
    [Test]
    public void EmbeddingShowsTheWholeFile()
    {
        string code = Source("EmbeddingExample.cs");
        Assert.That(Shown("docs/embedding.md"), Is.EqualTo(code));
        Assert.That(code.Split('\n'), Has.Length.LessThan(60));
    }

    [Test]
    public void TheReadmeShowsTheBodyOfItsExample()
    {
        const string indent = "        ";
        string[] lines = Source("ReadmeExample.cs").Split('\n');
        IEnumerable<string> body = lines
            .SkipWhile(line => !line.StartsWith(indent))
            .TakeWhile(line => line.StartsWith(indent) || line.Length == 0)
            .Where(line => line != $"{indent}return result;");
        string[] wanted = [.. body.Select(line => line.Length == 0 ? line : line[indent.Length..])];
        Assert.That(Shown("README.md").Split('\n'), Is.EqualTo(wanted));
        Assert.That(wanted.Count(line => line.Length > 0), Is.EqualTo(10));
    }

    [Test]
    public void TheLoopOfEmbeddingLearns() =>
        WithModelAndData(
            (model, data, adapter) =>
            {
                float first = CustomLoop.Train(model, data, adapter, 1);
                float last = CustomLoop.Train(model, data, adapter, 20);
                Assert.That(last, Is.LessThan(0.9f * first));
            }
        );

    [Test]
    public void TheExampleOfTheReadmeLearns() =>
        WithModelAndData(
            (model, data, adapter) =>
            {
                double first = ReadmeExample.Run(model, data, adapter, 1).FinalLoss;
                double last = ReadmeExample.Run(model, data, adapter, 20).FinalLoss;
                Assert.That(last, Is.LessThan(0.9 * first));
            }
        );

    private static void WithModelAndData(Action<string, string, string> train)
    {
        using TemporaryFolder folder = new();
        BpeTokenizer tokenizer = TokenizerFiles.Load(folder, TokenizerFiles.ByteLevel(null, [("a", "b")]));
        ModelConfig config = TinyModels.Llama with
        {
            VocabularySize = tokenizer.VocabularySize,
            InitializerRange = 0.1,
        };
        using (var model = CausalLanguageModel.Initialize(config, Devices.Get(DeviceKind.Cpu), DType.F32, 1))
            model.Save(folder.Path, null);
        string data = folder.Write(
            "data.jsonl",
            """
            {"prompt": "one two", "completion": " three"}
            {"text": "abab abab abab"}
            {"prompt": "aaa", "completion": "b"}
            """
        );
        string adapter = Path.Combine(folder.Path, "adapter");
        train(folder.Path, data, adapter);
        Assert.That(File.Exists(Path.Combine(adapter, "adapter_model.safetensors")), Is.True);
    }

    /// <summary>The first block of C# in a document.</summary>
    private static string Shown(string document) =>
        File.ReadAllText(Path.Combine(Tests(), "..", "..", document)).Split("```csharp")[1].Split("```")[0].Trim();

    private static string Source(string file) => File.ReadAllText(Path.Combine(Tests(), file)).Trim();

    private static string Tests([CallerFilePath] string path = "")
    {
        string tests = Path.GetDirectoryName(path)!;
        if (!Directory.Exists(tests))
            Assert.Ignore("the source tree is not on this machine");
        return tests;
    }
}
