using System.Runtime.CompilerServices;
using System.Xml.Linq;

namespace Spectral.Embedding.Tests;

/// <summary>The code in docstrings and documents compiles against the public surface of the libraries.</summary>
public sealed class DocumentedExampleTests
{
    // The types that a program meets first.
    private static readonly string[] EntryTypes =
    [
        "Spectral.Kernels.Device",
        "Spectral.Kernels.DeviceEvent",
        "Spectral.Kernels.DeviceStream",
        "Spectral.Kernels.Graph",
        "Spectral.Kernels.KernelLibrary",
        "Spectral.Kernels.KernelModule",
        "Spectral.Kernels.Linalg.RandomizedSvd",
        "Spectral.Kernels.Ops.AdamW",
        "Spectral.Kernels.Ops.Attention",
        "Spectral.Kernels.Ops.Gemm",
        "Spectral.Kernels.Ops.LowRankLinear",
        "Spectral.Kernels.Ops.SpectralRescale",
        "Spectral.Kernels.Tensor",
        "Spectral.Training.Adapters.Adapter",
        "Spectral.Training.Adapters.AdapterMethods",
        "Spectral.Training.Autograd.Node",
        "Spectral.Training.Calibration.ModelCalibration",
        "Spectral.Training.Generation.TextGenerator",
        "Spectral.Training.Merging.LoraExporter",
        "Spectral.Training.Merging.Merger",
        "Spectral.Training.Models.CausalLanguageModel",
        "Spectral.Training.Models.ModelFolder",
        "Spectral.Training.Optim.AdamWOptimizer",
        "Spectral.Training.Tokenization.BpeTokenizer",
        "Spectral.Training.Trainer",
        "Spectral.Training.TrainerState",
    ];

    private static readonly string[] Documents =
    [
        "README.md",
        "docs/calibration.md",
        "docs/embedding.md",
        "docs/interop.md",
        "docs/your-own-kernel.md",
        "src/Spectral.Kernels/README.md",
    ];

    [Test]
    public void EntryTypesHaveAnExample() =>
        Assert.That(EntryTypes.Select(type => $"T:{type}").Except(InDocstrings().Select(Where)), Is.Empty);

    [TestCaseSource(nameof(InDocstrings))]
    public void ExamplesInDocstringsCompile(string code) => Assert.That(ExampleCompiler.Errors(code), Is.Empty);

    [TestCaseSource(nameof(InDocuments))]
    public void ExamplesInDocumentsCompile(string code) => Assert.That(ExampleCompiler.Errors(code), Is.Empty);

    private static IEnumerable<TestCaseData> InDocstrings() =>
        from member in LibraryDocumentation.Members()
        from code in member.Text.Elements("example").Elements("code")
        select new TestCaseData(code.Value).SetArgDisplayNames(member.Name);

    private static IEnumerable<TestCaseData> InDocuments() =>
        from document in Documents
        let file = Path.Combine(Repository(), document)
        where File.Exists(file)
        from block in File.ReadAllText(file).Split("```csharp\n").Skip(1).Index()
        select new TestCaseData(block.Item.Split("```")[0]).SetArgDisplayNames($"{document}, block {block.Index + 1}");

    private static string Where(TestCaseData example) => example.ArgDisplayNames![0];

    // Only where the source tree is: test programs also run without it.
    private static string Repository([CallerFilePath] string path = "") =>
        Path.Combine(Path.GetDirectoryName(path)!, "..", "..");
}
