using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Compression;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Merging;
using Spectral.Training.Models;
using Spectral.Training.Optim;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters;

/// <summary>A tied head that follows an adapted or wholly trained embedding (PEFT's ensure_weight_tying).</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class TiedHeadTests(DeviceKind kind) : TrainingTest(kind)
{
    private const double Step = 1e-5; // of the differences in double
    private const double LossTolerance = 2e-6;
    private const double Tolerance = 2e-5; // F32 sums over a few dozen terms through two layers

    [Test]
    public void GradientsAreThoseOfTheReference([Values] bool whole)
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Qwen2, Device, Folder));
        Adapter adapter = Keep(Attach(model, whole));
        TestAdapters.Randomize(adapter, 23);
        adapter.Parameters.EnableGradients();
        var batch = Batch.Create(TinyModels.Records(3, model.Config, new Random(4)), 0);
        double loss = Losses.WithGradients(model, batch);

        Dictionary<string, double[]> values = TinyModels.Values(adapter.Parameters);
        Dictionary<string, double[]> weights = TestAdapters.Weights(Folder.Path);
        foreach (Parameter weight in adapter.WholeWeights)
            weights[weight.Name] = values[weight.Name];
        ReferenceModel reference = new(model.Config, weights)
        {
            WeightChange = layer =>
                TestAdapters.Dense(adapter, layer == "lm_head" ? "model.embed_tokens" : layer, values),
        };
        Assert.That(loss, Is.EqualTo(reference.LossSum(batch)).Within(LossTolerance * loss));
        foreach (Parameter parameter in adapter.Parameters.Parameters)
        {
            double[] expected = CentralDifferences.Of(values[parameter.Name], Step, () => reference.LossSum(batch));
            VerifyGradient(parameter.Gradient!.ToArray(), expected, Tolerance, parameter.Name);
        }
    }

    /// <summary>PEFT stores the head's tensors too, as those of layers that share memory, and asks for them.</summary>
    [Test]
    public void SavedLoadedExportedAndMergedTheyStayTied([Values] bool whole)
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Qwen2, Device, Folder));
        var batch = Batch.Create(TinyModels.Records(3, model.Config, new Random(4)), 0);
        using TemporaryFolder saved = new();
        using TemporaryFolder exported = new();
        using TemporaryFolder merged = new();
        double trained;
        using (Adapter adapter = Attach(model, whole))
        {
            TestAdapters.Perturb(adapter, 3);
            trained = Losses.Of(model, batch);
            adapter.Save(saved.Path);
        }
        using (var file = SafetensorsFile.Open(saved.File("adapter_model.safetensors")))
        {
            string[] head = [.. file.Tensors.Keys.Where(name => name.Contains("lm_head")).Order()];
            Assert.That(
                head,
                Is.EqualTo(
                    whole
                        ? new[] { "base_model.model.lm_head.weight" }
                        : ["base_model.model.lm_head.lora_A.weight", "base_model.model.lm_head.lora_B.weight"]
                )
            );
        }
        using var folder = ModelFolder.Open(Folder.Path);
        LoraExporter.Export(saved.Path, exported.Path, Device, folder);
        foreach (TemporaryFolder written in new[] { saved, exported })
        {
            using AdapterReader reader = new(written.Path, folder);
            Assert.That((reader.Warnings.Count, reader.Parts(folder)), Is.EqualTo((0, false)));
            using var adapter = Adapter.Load(model, written.Path);
            Assert.That(Losses.Of(model, batch), Is.EqualTo(trained).Within(LossTolerance * trained));
        }
        Merger.Merge(folder, saved.Path, merged.Path, Device);
        using var opened = ModelFolder.Open(merged.Path);
        Assert.That(
            (opened.Config.TieWordEmbeddings, opened.TensorNames.Contains("lm_head.weight")),
            Is.EqualTo((true, false))
        );
        using var plain = CausalLanguageModel.Load(opened, Device, DType.F32);
        Assert.That(Losses.Of(plain, batch), Is.EqualTo(trained).Within(LossTolerance * trained));
    }

    /// <summary>PEFT looks for the rank of the head's copy under the head's name.</summary>
    [Test]
    public void SqueezedTheyStayTiedAndTheEmbeddingHasTheLargestRank()
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Qwen2, Device, Folder));
        var batch = Batch.Create(TinyModels.Records(3, model.Config, new Random(4)), 0);
        using TemporaryFolder saved = new();
        using TemporaryFolder squeezed = new();
        double trained;
        AdapterOptions options = Options(whole: false) with { RankPattern = [new("embed_tokens", 1)] };
        using (var adapter = Adapter.Attach(model, AdapterMethods.Find("lora"), options))
        {
            TestAdapters.Perturb(adapter, 3);
            trained = Losses.Of(model, batch);
            adapter.Save(saved.Path);
        }
        using var folder = ModelFolder.Open(Folder.Path);
        CompressionMethod squeeze = CompressionMethods.Find("lora-squeeze");
        Compressor.Compress(squeeze, saved.Path, squeezed.Path, new CompressionOptions { Energy = 1 }, Device, folder);
        using AdapterReader reader = new(squeezed.Path, folder);
        Assert.That((reader.Warnings.Count, reader.Parts(folder)), Is.EqualTo((0, false)));
        Assert.That(reader.Modules.Select(module => module.Form.Rank), Is.All.EqualTo(2));
        using var loaded = Adapter.Load(model, squeezed.Path);
        Assert.That(Losses.Of(model, batch), Is.EqualTo(trained).Within(LossTolerance * trained));
    }

    [Test]
    public void ARunThatIsBrokenOffEndsWithTheSameBits([Values] bool whole, [Values] bool bf16) =>
        BrokenRun.MustEndWithTheSameBits(
            TinyModels.Qwen2,
            Device,
            Folder,
            bf16 ? DType.BF16 : DType.F32,
            Options(whole),
            graph: false
        );

    [Test]
    public void WhereNothingIsTiedOrNothingChangesItIsRefused()
    {
        CausalLanguageModel tied = Keep(TinyModels.Frozen(TinyModels.Qwen2, Device, Folder));
        Refuses(tied, "lora", Options(whole: false) with { TargetModules = ["v_proj"] }, "expected embed_tokens");
        Refuses(
            tied,
            "lora",
            Options(whole: true) with
            {
                ModulesToSave = ["embed_tokens", "lm_head"],
            },
            "and not lm_head"
        );
        Refuses(tied, "ia3", Options(whole: true), "--keep-tied: the files of ia3 (PEFT's type IA3) have no place");
        using TemporaryFolder other = new();
        using CausalLanguageModel untied = TinyModels.Frozen(TinyModels.Llama, Device, other);
        Refuses(untied, "lora", Options(whole: true), "in this model it is not tied");

        void Refuses(CausalLanguageModel model, string method, AdapterOptions options, string text) =>
            Assert.That(
                () => Adapter.Attach(model, AdapterMethods.Find(method), options),
                Throws.TypeOf<InputException>().With.Message.Contains(text)
            );
    }

    private static AdapterOptions Options(bool whole) =>
        new()
        {
            Rank = 2,
            Alpha = 5,
            Seed = 9,
            KeepTied = true,
            TargetModules = whole ? ["v_proj"] : ["v_proj", "embed_tokens"],
            ModulesToSave = whole ? ["embed_tokens"] : [],
        };

    private static Adapter Attach(CausalLanguageModel model, bool whole) =>
        Adapter.Attach(model, AdapterMethods.Find("lora"), Options(whole));
}
