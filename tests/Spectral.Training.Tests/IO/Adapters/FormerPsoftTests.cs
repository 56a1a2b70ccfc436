using System.Text.Json.Nodes;
using Spectral.Kernels;
using Spectral.Kernels.Tests;

namespace Spectral.Training.Tests;

/// <summary>Folders of PSOFT under PEFT's own type: those that this library once wrote, and PEFT's.</summary>
public sealed class FormerPsoftTests() : TrainingTest(DeviceKind.Cpu)
{
    private const string Module = "model.layers.0.self_attn.q_proj";
    private const int Rank = 3, Outputs = 16, Inputs = 12;

    /// <summary>Trained with (I − S)(I + S)⁻¹ where PEFT has (I + S)(I − S)⁻¹, or with the same series: the weight stays what it was.</summary>
    [TestCase(false)]
    [TestCase(true)]
    public void AFolderOfThisLibraryMeansWhatItDid(bool series)
    {
        var model = Keep(TinyModels.Frozen(TinyModels.Llama, Device, Folder));
        var tensors = Write(series, ours: true);
        using var adapter = Adapter.Load(model, Path.Combine(Folder.Path, "adapter"));
        var s = new Dense(Rank, Rank);
        var upper = tensors["psoft_R.weight"];
        (s[0, 1], s[0, 2], s[1, 2]) = (upper[0], upper[1], upper[2]);
        (s[1, 0], s[2, 0], s[2, 1]) = (-upper[0], -upper[1], -upper[2]);
        var one = Dense.Identity(Rank);
        var rotation = series ? one + 2 * s + 2 * (s * s) + 2 * (s * s * s) + s * s * s * s : (one - s) * (one + s).Inverse();
        var turned = Dense.Diagonal(tensors["psoft_R.vector_b"]) * rotation * Dense.Diagonal(tensors["psoft_R.vector_a"]);
        var change = Dense.Of(Outputs, Rank, tensors["psoft_B"]) * (turned - one) * Dense.Of(Rank, Inputs, tensors["psoft_A"]);
        var weight = Adapters.Weights(Folder.Path)[$"{Module}.weight"];
        VerifyGradient(adapter.Modules[0].Core.MergedWeight(), [.. weight.Zip(change.Values, (w, d) => w + d)], 1e-5, Module);
    }

    [Test]
    public void AFolderOfPeftIsRefusedForItsSigns()
    {
        Write(series: false, ours: false);
        Assert.That(() => new AdapterReader(Path.Combine(Folder.Path, "adapter"), TinyModels.Llama).Dispose(),
            Throws.TypeOf<InputException>().With.Message.Contains("signs").And.Message.Contains("convert_to_lora"));
    }

    private Dictionary<string, double[]> Write(bool series, bool ours)
    {
        var directory = Directory.CreateDirectory(Path.Combine(Folder.Path, "adapter")).FullName;
        File.WriteAllText(Path.Combine(directory, "adapter_config.json"), new JsonObject
        {
            ["peft_type"] = "PSOFT", ["r"] = Rank, ["psoft_alpha"] = 16, ["psoft_dropout"] = 0.0, ["ab_svd_init"] = "psoft_init", ["psoft_orth"] = true,
            ["psoft_mag_a"] = true, ["psoft_mag_b"] = true, ["use_cayley_neumann"] = series, ["num_cayley_neumann_terms"] = 5,
            ["target_modules"] = new JsonArray(Module), ["init_weights"] = true, ["fan_in_fan_out"] = false,
        }.ToJsonString());
        var random = new Random(6);
        Dictionary<string, (long[] Shape, double[] Values)> tensors = new()
        {
            ["psoft_R.weight"] = Random(3), ["psoft_R.vector_a"] = Random(Rank), ["psoft_R.vector_b"] = Random(Rank),
            ["psoft_A"] = Random(Rank, Inputs), ["psoft_B"] = Random(Outputs, Rank),
        };
        SafetensorsWriter.Write(
            Path.Combine(directory, "adapter_model.safetensors"),
            [.. tensors.Select(tensor => TensorToWrite.Floats(
                AdapterFolder.KeyOf(Module, tensor.Key), StoredType.F32, tensor.Value.Shape, () => Array.ConvertAll(tensor.Value.Values, value => (float)value)))],
            ours ? new Dictionary<string, string> { [AdapterConfigFile.MethodKey] = "psoft" } : []);
        return tensors.ToDictionary(tensor => tensor.Key, tensor => tensor.Value.Values);

        (long[], double[]) Random(params long[] shape) =>
            (shape, [.. Enumerable.Range(0, (int)shape.Aggregate((a, b) => a * b)).Select(_ => (double)(float)(random.NextDouble() - 0.5))]);
    }
}
