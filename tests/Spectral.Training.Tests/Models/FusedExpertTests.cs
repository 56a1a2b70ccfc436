using Spectral.Kernels;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Models;

/// <summary>Checkpoints with one tensor for all experts of a layer, as transformers 5 keeps them.</summary>
public sealed class FusedExpertTests : FolderTest
{
    private static IEnumerable<TestCaseData> Models() =>
        [
            new TestCaseData(TinyModels.Mixtral, 0).SetArgDisplayNames("mixtral"),
            new TestCaseData(TinyModels.Qwen3Moe, 1).SetArgDisplayNames("qwen3_moe"),
        ];

    /// <summary>Gate above up, [E, 2F, D], and down [E, D, F]; Mixtral's mixture is called mlp too.</summary>
    [TestCaseSource(nameof(Models))]
    public void ExpertsAreRead(ModelConfig config, int layer)
    {
        Dictionary<string, float[]> single = Write(config);
        using var opened = ModelFolder.Open(folder.Path);
        Assert.That(opened.Warnings, Is.Empty);
        foreach ((string name, float[] values) in single)
            Assert.That(opened[name].ToFloats(), Is.EqualTo(values), name);
        using var device = Device.Cpu();
        using var model = CausalLanguageModel.Load(opened, device, DType.F32);
        using TemporaryFolder other = new();
        using (var trained = CausalLanguageModel.Load(opened, device, DType.F32, trainWeights: true))
            trained.Save(other.Path, null);
        using var again = ModelFolder.Open(other.Path);
        Assert.That(again.TensorNames, Is.EquivalentTo(single.Keys), "written as one tensor for each expert");
        string any = single.Keys.First(name => name.Contains($"layers.{layer}.") && name.Contains("experts.3"));
        Assert.That(again.Sha256(any), Is.EqualTo(opened.Sha256(any)));
    }

    [Test]
    public void AnotherNumberOfExpertsIsNamed()
    {
        Write(TinyModels.Mixtral, experts: 4);
        Assert.That(
            () => ModelFolder.Open(folder.Path),
            Throws
                .TypeOf<InputException>()
                .With.Message.Contains("tensor model.layers.0.mlp.experts.down_proj is F32 [4, 12, 10], expected")
                .And.Message.Contains("[5, 12, 10] from config.json")
        );
    }

    [Test]
    public void AMissingTensorIsNamed()
    {
        Write(TinyModels.Mixtral, without: "model.layers.1.mlp.experts.down_proj");
        Assert.That(
            () => ModelFolder.Open(folder.Path),
            Throws
                .TypeOf<InputException>()
                .With.Message.Contains("model.layers.1.block_sparse_moe.experts.0.w2.weight is missing")
        );
    }

    [Test]
    public void AnExpertThatIsStoredTwiceIsNamed()
    {
        Write(TinyModels.Mixtral, twice: "model.layers.0.block_sparse_moe.experts.2.w1.weight");
        Assert.That(
            () => ModelFolder.Open(folder.Path),
            Throws.TypeOf<InputException>().With.Message.Contains("expected one of them")
        );
    }

    /// <summary>Writes a model in both ways; the folder has the fused one. Returns the values of the other.</summary>
    private Dictionary<string, float[]> Write(
        ModelConfig config,
        int? experts = null,
        string? without = null,
        string? twice = null
    )
    {
        using var device = Device.Cpu();
        using (CausalLanguageModel model = TinyModels.Trainable(config, device))
            model.Save(folder.Path, null);
        Dictionary<string, float[]> values = [];
        List<TensorToWrite> tensors = [];
        using (var opened = ModelFolder.Open(folder.Path))
        {
            foreach (string name in opened.TensorNames.Order(StringComparer.Ordinal))
            {
                values.Add(name, opened[name].ToFloats());
                if (!name.Contains("experts") || name == twice)
                {
                    string stored = name == twice ? name : name.Replace("block_sparse_moe", "mlp");
                    tensors.Add(Tensor(stored, [.. opened[name].Shape], values[name]));
                }
            }
        }
        int count = experts ?? config.Experts!.Count;
        (int hidden, int width) = (config.HiddenSize, config.Experts!.IntermediateSize ?? config.IntermediateSize);
        (string mixture, string gate, string up, string down) =
            config.ModelType == "mixtral"
                ? ("block_sparse_moe", "w1", "w3", "w2")
                : ("mlp", "gate_proj", "up_proj", "down_proj");
        foreach (int layer in Enumerable.Range(0, config.Layers).Where(config.Experts.In))
        {
            string prefix = $"model.layers.{layer}.";
            float[] Of(int expert, string name) => values[$"{prefix}{mixture}.experts.{expert}.{name}.weight"];
            IEnumerable<int> all = Enumerable.Range(0, count);
            tensors.Add(
                Tensor(
                    prefix + "mlp.experts.gate_up_proj",
                    [count, 2 * width, hidden],
                    [.. all.SelectMany(expert => Of(expert, gate).Concat(Of(expert, up)))]
                )
            );
            tensors.Add(
                Tensor(
                    prefix + "mlp.experts.down_proj",
                    [count, hidden, width],
                    [.. all.SelectMany(expert => Of(expert, down))]
                )
            );
        }
        SafetensorsWriter.Write(folder.File("model.safetensors"), [.. tensors.Where(tensor => tensor.Name != without)]);
        return values;
    }

    private static TensorToWrite Tensor(string name, long[] shape, float[] values) =>
        TensorToWrite.Floats(name, StoredType.F32, shape, () => values);
}
