using System.Runtime.CompilerServices;
using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;
using Spectral.Training.Tokenization;

namespace Spectral.Training.Tests;

/// <summary>The loop of docs/embedding.md is the file compiled here, is short, and trains.</summary>
public sealed class EmbeddingExampleTests
{
    [Test]
    public void TheDocumentShowsTheFileThatIsCompiled()
    {
        string tests = Path.GetDirectoryName(Here())!;
        if (!Directory.Exists(tests))
            Assert.Ignore("the source tree is not on this machine");
        string code = File.ReadAllText(Path.Combine(tests, "EmbeddingExample.cs")).Trim();
        string document = File.ReadAllText(Path.Combine(tests, "..", "..", "docs", "embedding.md"));
        string shown = document.Split("```csharp")[1].Split("```")[0].Trim();
        Assert.That(shown, Is.EqualTo(code));
        Assert.That(code.Split('\n'), Has.Length.LessThan(60));
    }

    [Test]
    public void TheLoopLearns()
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
        float first = CustomLoop.Train(folder.Path, data, adapter, 1);
        float last = CustomLoop.Train(folder.Path, data, adapter, 20);
        Assert.That(last, Is.LessThan(0.9f * first));
        Assert.That(File.Exists(Path.Combine(adapter, "adapter_model.safetensors")), Is.True);
    }

    private static string Here([CallerFilePath] string path = "") => path;
}
