using System.Text.Json.Nodes;
using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.IO;
using Spectral.Training.Merging;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Models;

/// <summary>Files of GPT-2 have the weights of linear layers as [in, out]; everything else sees [out, in].</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class TransposedWeightTests(DeviceKind kind) : TrainingTest(kind)
{
    private const string Fused = "transformer.h.0.attn.c_attn.weight"; // [36, 12]
    private const string Square = "transformer.h.1.attn.c_proj.weight"; // [12, 12]

    [Test]
    public void AFileHasThemAsInputsByOutputs([Values(Fused, Square)] string name)
    {
        CausalLanguageModel model = Keep(TinyModels.Trainable(TinyModels.Gpt2, Device));
        model.Save(Folder.Path, null);
        float[] weight = model.Trainable!.Parameters.Single(each => each.Name == name).Master.ToArray();
        int outputs = weight.Length / 12;
        using (var file = SafetensorsFile.Open(Folder.File("model.safetensors")))
        {
            Assert.That(file[name].Shape, Is.EqualTo(new long[] { 12, outputs }));
            float[] stored = file[name].ToFloats();
            Assert.That(stored.Select((_, at) => weight[at % outputs * 12 + at / outputs]), Is.EqualTo(stored));
        }

        using var folder = ModelFolder.Open(Folder.Path);
        Assert.That(folder[name].Shape, Is.EqualTo(new long[] { outputs, 12 }));
        Assert.That(folder[name].ToFloats(), Is.EqualTo(weight));
        float[] piece = new float[29];
        folder[name].ReadFloats(7, piece);
        Assert.That(piece, Is.EqualTo(weight[7..36]));
        Assert.That(folder.Warnings, Is.Empty);
    }

    /// <summary>The checkpoints of OpenAI have the names of the model without its head, and masks.</summary>
    [Test]
    public void BareNamesAndMasksAreUnderstood()
    {
        using (CausalLanguageModel saved = TinyModels.Trainable(TinyModels.Gpt2, Device))
            saved.Save(Folder.Path, null);
        using var bare = new TemporaryFolder();
        File.Copy(Folder.File("config.json"), bare.File("config.json"));
        using (var file = SafetensorsFile.Open(Folder.File("model.safetensors")))
        {
            TensorToWrite[] tensors =
            [
                .. file.Tensors.Values.Select(tensor =>
                    TensorToWrite.Copy(tensor, tensor.Name["transformer.".Length..])
                ),
                .. Enumerable
                    .Range(0, 2)
                    .Select(i =>
                        TensorToWrite.Floats($"h.{i}.attn.bias", StoredType.F32, [1, 1, 2, 2], () => [1, 0, 1, 1])
                    ),
            ];
            SafetensorsWriter.Write(bare.File("model.safetensors"), tensors, new Dictionary<string, string>());
        }

        using var folder = ModelFolder.Open(bare.Path);
        using var whole = ModelFolder.Open(Folder.Path);
        Assert.That(folder.Warnings, Is.Empty);
        foreach (TensorSpec tensor in ModelTensors.For(folder.Config))
            Assert.That(folder[tensor.Name].ToFloats(), Is.EqualTo(whole[tensor.Name].ToFloats()), tensor.Name);
    }

    [Test]
    public void AWeightOfTheOtherOrderIsNamedWithTheShapesOfFiles()
    {
        using (CausalLanguageModel saved = TinyModels.Trainable(TinyModels.Gpt2, Device))
            saved.Save(Folder.Path, null);
        string path = Folder.File("model.safetensors");
        string other = Folder.File("other.safetensors");
        using (var file = SafetensorsFile.Open(path))
        {
            SafetensorsWriter.Write(
                other,
                [
                    .. file.Tensors.Values.Select(tensor =>
                        tensor.Name == Fused ? TensorToWrite.Copy(tensor).Transposed() : TensorToWrite.Copy(tensor)
                    ),
                ],
                new Dictionary<string, string>()
            );
        }
        File.Move(other, path, overwrite: true);
        Assert.That(
            () => ModelFolder.Open(Folder.Path),
            Throws.TypeOf<InputException>().With.Message.Contains($"{Fused} is [36, 12], expected [12, 36]")
        );
    }

    [Test]
    public void AnAdapterIsPeftsAndItsMergeHasTheOrderOfTheBase([Values] bool half)
    {
        StoredType? type = half ? StoredType.BF16 : null;
        using var output = new TemporaryFolder();
        using var merged = new TemporaryFolder();
        using (CausalLanguageModel model = TinyModels.Frozen(TinyModels.Gpt2, Device, Folder))
        using (
            var adapter = Adapter.Attach(
                model,
                AdapterMethods.Find("lora"),
                new AdapterOptions
                {
                    Rank = 2,
                    Alpha = 3,
                    TargetModules = ["c_attn", "c_proj"],
                }
            )
        )
        {
            TestAdapters.Randomize(adapter, 5);
            adapter.Save(output.Path);
        }
        JsonObject config = JsonNode.Parse(File.ReadAllText(output.File("adapter_config.json")))!.AsObject();
        Assert.That((bool)config["fan_in_fan_out"]!, Is.True);
        Dictionary<string, double[]> factors;
        using (var file = SafetensorsFile.Open(output.File("adapter_model.safetensors")))
        {
            string prefix = "base_model.model." + Fused[..^".weight".Length];
            Assert.That(file[prefix + ".lora_A.weight"].Shape, Is.EqualTo(new long[] { 2, 12 }));
            Assert.That(file[prefix + ".lora_B.weight"].Shape, Is.EqualTo(new long[] { 36, 2 }));
            factors = file.Tensors.Values.ToDictionary(
                tensor => tensor.Name["base_model.model.".Length..],
                tensor => Array.ConvertAll(tensor.ToFloats(), value => (double)value)
            );
        }

        using (var folder = ModelFolder.Open(Folder.Path))
            Merger.Merge(folder, output.Path, merged.Path, Device, type: type);
        Dictionary<string, double[]> before = TestAdapters.Weights(Folder.Path);
        Dictionary<string, double[]> after = TestAdapters.Weights(merged.Path);
        using var result = SafetensorsFile.Open(merged.File("model.safetensors"));
        using var start = SafetensorsFile.Open(Folder.File("model.safetensors"));
        Assert.That(result.Tensors.Keys, Is.EquivalentTo(start.Tensors.Keys));
        foreach ((string name, SafetensorsTensor tensor) in start.Tensors)
        {
            Assert.That(result[name].Shape, Is.EqualTo(tensor.Shape), name);
            double[] expected = (double[])before[name].Clone();
            string module = name[..name.LastIndexOf('.')];
            if (name.EndsWith(".weight", StringComparison.Ordinal) && factors.ContainsKey(module + ".lora_A.weight"))
                Add(expected, factors[module + ".lora_B.weight"], factors[module + ".lora_A.weight"]);
            // BF16 has eight bits.
            Assert.That(after[name], Is.EqualTo(expected).Within(half ? 8e-3 : 1e-6), name);
        }

        static void Add(double[] weight, double[] b, double[] a)
        {
            int inputs = a.Length / 2;
            for (int i = 0; i < weight.Length; i++)
            {
                for (int r = 0; r < 2; r++)
                    weight[i] += 1.5 * b[i / inputs * 2 + r] * a[r * inputs + i % inputs];
            }
        }
    }

    /// <summary>PEFT's list of tokens is of the token embedding, whatever its name.</summary>
    [Test]
    public void TokensOfTheEmbeddingTrainUnderPeftsName()
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Gpt2, Device, Folder));
        string saved = Path.Combine(Folder.Path, "adapter");
        using (
            var adapter = Adapter.Attach(
                model,
                AdapterMethods.Find("lora"),
                new AdapterOptions
                {
                    Rank = 2,
                    TargetModules = ["c_attn"],
                    TrainableTokens = [KeyValuePair.Create("embed_tokens", (IReadOnlyList<int>)[3, 5])],
                }
            )
        )
        {
            TestAdapters.Randomize(adapter, 5);
            adapter.Save(saved);
        }
        using (var file = SafetensorsFile.Open(Path.Combine(saved, "adapter_model.safetensors")))
        {
            Assert.That(
                file.Tensors.Keys,
                Does.Contain("base_model.model.transformer.wte.token_adapter.trainable_tokens_delta")
            );
        }
        using var again = Adapter.Load(model, saved);
        Assert.That(again.Options.TrainableTokens.Single().Value, Is.EqualTo(new[] { 3, 5 }));
    }

    [Test]
    public void WeightsOfAnAdapterThatAreWholeAreRefused()
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Gpt2, Device, Folder));
        Assert.That(
            () =>
                Adapter.Attach(
                    model,
                    AdapterMethods.Find("lora"),
                    new AdapterOptions
                    {
                        Rank = 2,
                        TargetModules = ["c_attn"],
                        ModulesToSave = ["c_fc"],
                    }
                ),
            Throws
                .TypeOf<InputException>()
                .With.Message.Contains("transformer.h.0.mlp.c_fc.weight is stored [in, out]")
                .And.Message.Contains("expected other modules")
        );
    }
}
