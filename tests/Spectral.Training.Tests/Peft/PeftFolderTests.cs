using System.Text.Json.Nodes;
using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Merging;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Peft;

/// <summary>Folders of the PEFT library against the losses that PEFT computes with them.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class PeftFolderTests(DeviceKind kind) : TrainingTest(kind)
{
    // Losses near 7 in F32, summed in another order.
    private const double Tolerance = 2e-6;

    private static string[] Names => PeftFolders.Names;

    [TestCaseSource(nameof(Names))]
    public void ItComputesWhatPeftComputes(string name)
    {
        (string tokens, double loss, double? merged) = PeftFolders.Expected(name);
        using (var reader = new AdapterReader(PeftFolders.Adapter(name), ModelConfig.Load(PeftFolders.Model(tokens))))
            Assert.That(reader.Warnings, Is.Empty);
        using (CausalLanguageModel model = Load(PeftFolders.Model(tokens)))
        using (Adapter.Load(model, PeftFolders.Adapter(name)))
            Assert.That(Loss(model, tokens), Is.EqualTo(loss).Within(Tolerance));
        if (merged is null)
            return;
        using (var folder = ModelFolder.Open(PeftFolders.Model(tokens)))
            Merger.Merge(folder, PeftFolders.Adapter(name), Folder.Path, Device);
        using CausalLanguageModel plain = Load(Folder.Path);
        Assert.That(Loss(plain, tokens), Is.EqualTo(merged.Value).Within(Tolerance), "merged");
    }

    /// <summary>What is written after reading means the same.</summary>
    [TestCaseSource(nameof(Names))]
    public void SavedAgainItIsTheSame(string name)
    {
        (string tokens, double loss, _) = PeftFolders.Expected(name);
        using (CausalLanguageModel model = Load(PeftFolders.Model(tokens)))
        using (var adapter = Adapter.Load(model, PeftFolders.Adapter(name)))
            adapter.Save(Folder.Path);
        using CausalLanguageModel again = Load(PeftFolders.Model(tokens));
        using var loaded = Adapter.Load(again, Folder.Path);
        Assert.That(Loss(again, tokens), Is.EqualTo(loss).Within(Tolerance));
    }

    /// <summary>
    /// A layer that AdaLoRA took all rank from keeps its trained bias, which stands beside no factors when saved again.
    /// PEFT takes every bias that is in the file, whatever the key says.
    /// </summary>
    [Test]
    public void BiasesOfLayersWithoutRankAreKept()
    {
        (string tokens, double loss, _) = CopyWithBias("adalora-rank-0-bias", "lora_only");
        using (var reader = new AdapterReader(Folder.Path, ModelConfig.Load(PeftFolders.Model(tokens))))
            Assert.That(reader.Warnings, Is.Empty);
        using (CausalLanguageModel model = Load(PeftFolders.Model(tokens)))
        using (var adapter = Adapter.Load(model, Folder.Path))
        {
            Assert.That(Loss(model, tokens), Is.EqualTo(loss).Within(Tolerance));
            adapter.Save(Folder.Path);
        }
        using CausalLanguageModel again = Load(PeftFolders.Model(tokens));
        using var loaded = Adapter.Load(again, Folder.Path);
        Assert.That(Loss(again, tokens), Is.EqualTo(loss).Within(Tolerance), "saved again");
    }

    private (string Model, double Loss, double? Merged) CopyWithBias(string name, string bias)
    {
        foreach (string file in Directory.GetFiles(PeftFolders.Adapter(name)))
            File.Copy(file, Path.Combine(Folder.Path, Path.GetFileName(file)));
        string path = Path.Combine(Folder.Path, "adapter_config.json");
        JsonNode config = JsonNode.Parse(File.ReadAllText(path))!;
        config["bias"] = bias;
        File.WriteAllText(path, config.ToJsonString());
        return PeftFolders.Expected(name);
    }

    private static double Loss(CausalLanguageModel model, string tokens) =>
        Evaluator.Evaluate(model, PeftFolders.Records(tokens), exactMatch: false).Loss;

    private CausalLanguageModel Load(string path)
    {
        using var folder = ModelFolder.Open(path);
        return CausalLanguageModel.Load(folder, Device, DType.F32);
    }
}
