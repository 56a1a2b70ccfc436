using System.Text.Json.Nodes;
using Spectral.Kernels;
using Spectral.Training.Adapters;
using Spectral.Training.Adapters.Files;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters.Files;

/// <summary>Folders of types that PEFT or this library once had, against the formulas of then.</summary>
public sealed class FormerTypeTests() : TrainingTest(DeviceKind.Cpu)
{
    private const string Module = "model.layers.0.self_attn.q_proj";
    private const int Rank = 3;
    private const int Outputs = 16;
    private const int Inputs = 12;

    /// <summary>
    /// Trained with (I − S)(I + S)⁻¹ where PEFT has (I + S)(I − S)⁻¹, or with the same series: the weight stays what
    /// it was.
    /// </summary>
    [TestCase(false)]
    [TestCase(true)]
    public void APsoftFolderOfThisLibraryMeansWhatItDid(bool series)
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Llama, Device, Folder));
        Dictionary<string, double[]> tensors = Write(series, ours: true);
        using var adapter = Adapter.Load(model, Path.Combine(Folder.Path, "adapter"));
        var s = new Dense(Rank, Rank);
        double[] upper = tensors["psoft_R.weight"];
        (s[0, 1], s[0, 2], s[1, 2]) = (upper[0], upper[1], upper[2]);
        (s[1, 0], s[2, 0], s[2, 1]) = (-upper[0], -upper[1], -upper[2]);
        var one = Dense.Identity(Rank);
        Dense rotation = series
            ? one + 2 * s + 2 * (s * s) + 2 * (s * s * s) + s * s * s * s
            : (one - s) * (one + s).Inverse();
        (Dense b, Dense a) = (Dense.Diagonal(tensors["psoft_R.vector_b"]), Dense.Diagonal(tensors["psoft_R.vector_a"]));
        (Dense left, Dense right) = (
            Dense.Of(Outputs, Rank, tensors["psoft_B"]),
            Dense.Of(Rank, Inputs, tensors["psoft_A"])
        );
        Dense change = left * (b * rotation * a - one) * right;
        double[] weight = TestAdapters.Weights(Folder.Path)[$"{Module}.weight"];
        VerifyGradient(
            adapter.Modules[0].Core.MergedWeight(),
            [.. weight.Zip(change.Values, (w, d) => w + d)],
            1e-5,
            Module
        );
    }

    [Test]
    public void APsoftFolderOfPeftIsRefusedForItsSigns()
    {
        Write(series: false, ours: false);
        Assert.That(
            () => new AdapterReader(Path.Combine(Folder.Path, "adapter"), TinyModels.Llama).Dispose(),
            Throws.TypeOf<InputException>().With.Message.Contains("signs").And.Message.Contains("convert_to_lora")
        );
    }

    /// <summary>
    /// OFT of PEFT 0.14 and 0.15: whole matrices R, rotations (I − S)(I + S)⁻¹ of S = (R − Rᵀ)/2, and a scale for
    /// each output (its oft/layer.py).
    /// </summary>
    [TestCase(4, 0)]
    [TestCase(0, 3)]
    public void OftWithScalesIsRead(int blocks, int size)
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Llama, Device, Folder));
        var config = new JsonObject
        {
            ["peft_type"] = "OFT",
            ["r"] = blocks,
            ["oft_block_size"] = size,
            ["module_dropout"] = 0.1,
            ["coft"] = false,
            ["eps"] = 6e-5,
            ["block_share"] = false,
            ["bias"] = "none",
            ["target_modules"] = new JsonArray(Module),
            ["init_weights"] = true,
            ["fan_in_fan_out"] = false,
        };
        Dictionary<string, double[]> tensors = Write(config, [], ("oft_r", [4, 3, 3]), ("oft_s", [Outputs, 1]));
        using var adapter = Adapter.Load(model, Path.Combine(Folder.Path, "adapter"));
        (Dense one, Dense turned) = (Dense.Identity(3), new Dense(Inputs, Inputs));
        for (int block = 0; block < 4; block++)
        {
            var r = Dense.Of(3, 3, tensors["oft_r"].AsSpan(9 * block));
            Dense s = 0.5 * (r - r.Transposed);
            Dense rotation = (one - s) * (one + s).Inverse();
            for (int i = 0; i < 9; i++)
                turned[3 * block + i / 3, 3 * block + i % 3] = rotation[i / 3, i % 3];
        }
        var weight = Dense.Of(Outputs, Inputs, TestAdapters.Weights(Folder.Path)[$"{Module}.weight"]);
        VerifyGradient(
            adapter.Modules[0].Core.MergedWeight(),
            (Dense.Diagonal(tensors["oft_s"]) * weight * turned.Transposed).Values,
            1e-5,
            Module
        );
    }

    private Dictionary<string, double[]> Write(bool series, bool ours) =>
        Write(
            new JsonObject
            {
                ["peft_type"] = "PSOFT",
                ["r"] = Rank,
                ["psoft_alpha"] = 16,
                ["psoft_dropout"] = 0.0,
                ["ab_svd_init"] = "psoft_init",
                ["psoft_orth"] = true,
                ["psoft_mag_a"] = true,
                ["psoft_mag_b"] = true,
                ["use_cayley_neumann"] = series,
                ["num_cayley_neumann_terms"] = 5,
                ["target_modules"] = new JsonArray(Module),
                ["init_weights"] = true,
                ["fan_in_fan_out"] = false,
            },
            ours ? new Dictionary<string, string> { [AdapterConfigFile.MethodKey] = "psoft" } : [],
            ("psoft_R.weight", [3]),
            ("psoft_R.vector_a", [Rank]),
            ("psoft_R.vector_b", [Rank]),
            ("psoft_A", [Rank, Inputs]),
            ("psoft_B", [Outputs, Rank])
        );

    /// <summary>A folder of one module with random tensors, which are returned.</summary>
    private Dictionary<string, double[]> Write(
        JsonObject config,
        Dictionary<string, string> metadata,
        params (string Leaf, long[] Shape)[] tensors
    )
    {
        string directory = Directory.CreateDirectory(Path.Combine(Folder.Path, "adapter")).FullName;
        File.WriteAllText(Path.Combine(directory, "adapter_config.json"), config.ToJsonString());
        var random = new Random(6);
        Dictionary<string, double[]> values = tensors.ToDictionary(
            tensor => tensor.Leaf,
            tensor => Numbers((int)tensor.Shape.Aggregate((a, b) => a * b))
        );
        SafetensorsWriter.Write(
            Path.Combine(directory, "adapter_model.safetensors"),
            [.. tensors.Select(tensor => Stored(tensor.Leaf, tensor.Shape))],
            metadata
        );
        return values;

        double[] Numbers(int count) =>
            [.. Enumerable.Range(0, count).Select(_ => (double)(float)(random.NextDouble() - 0.5))];

        TensorToWrite Stored(string leaf, long[] shape) =>
            TensorToWrite.Floats(
                AdapterFolder.KeyOf(Module, leaf),
                StoredType.F32,
                shape,
                () => Array.ConvertAll(values[leaf], value => (float)value)
            );
    }
}
