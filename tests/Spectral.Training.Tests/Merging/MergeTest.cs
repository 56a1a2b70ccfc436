using System.Text.Json.Nodes;
using Spectral.Kernels;
using Spectral.Training.Adapters;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Merging;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Merging;

/// <summary>
/// Base of fixtures that merge tuned copies of a small model with odd sizes, of which two tensors span several pieces,
/// and compare with formulas in double.
/// </summary>
public abstract class MergeTest(DeviceKind kind) : TrainingTest(kind)
{
    private protected const string Query = "model.layers.1.self_attn.q_proj.weight";
    private protected const string Embedding = "model.embed_tokens.weight";

    private protected string Base => Folder.File("base");

    private protected string Out => Folder.File("out");

    [SetUp]
    public void MakeBase() => Write("base", 0, 0);

    private protected static JsonObject Config() =>
        new()
        {
            ["model_type"] = "llama",
            ["vocab_size"] = 5501,
            ["hidden_size"] = 13,
            ["intermediate_size"] = 17,
            ["num_hidden_layers"] = 3,
            ["num_attention_heads"] = 3,
            ["num_key_value_heads"] = 1,
            ["head_dim"] = 6,
            ["rms_norm_eps"] = 1e-5,
            ["eos_token_id"] = 2,
        };

    /// <summary>Writes a copy of the base in which every value is moved by up to a distance.</summary>
    private protected MergeInput Tuned(int seed, double distance = 0.1, double? weight = null) =>
        new(Write($"tuned{seed}-{distance}", seed, distance), weight);

    /// <summary>Merges inputs and returns the result by tensor name.</summary>
    private protected Dictionary<string, double[]> Merge(
        string method,
        MergeOptions? options = null,
        params MergeInput[] inputs
    )
    {
        if (Directory.Exists(Out))
            Directory.Delete(Out, recursive: true);
        Directory.CreateDirectory(Out);
        using var model = ModelFolder.Open(Base);
        using var merge = ModelMerge.Open(
            model,
            MergeMethods.Find(method),
            inputs,
            options ?? new MergeOptions(),
            Device
        );
        merge.Write(Out);
        return Values(Out);
    }

    private protected static MergeOptions With(params (string Name, double Value)[] settings) =>
        new() { Settings = settings.ToDictionary(setting => setting.Name, setting => setting.Value) };

    /// <summary>Records of random tokens, of unequal length.</summary>
    private protected EncodedRecord[] Records(int seed, int count = 7)
    {
        var config = ModelConfig.Load(Base);
        return TinyModels.Records(count, config, new Random(seed), longest: 9);
    }

    private protected static Dictionary<string, double[]> Values(string directory)
    {
        using var folder = ModelFolder.Open(directory);
        return folder.TensorNames.ToDictionary(
            name => name,
            name => Array.ConvertAll(folder[name].ToFloats(), value => (double)value)
        );
    }

    /// <summary>The changes τ of inputs that are checkpoints, rounded to F32 as they are read.</summary>
    private protected double[][] Changes(string tensor, params MergeInput[] inputs)
    {
        double[] origin = Values(Base)[tensor];
        return
        [
            .. inputs.Select(input =>
                Values(input.Directory)[tensor].Select((value, i) => (double)(float)(value - origin[i])).ToArray()
            ),
        ];
    }

    /// <summary>
    /// Compares every tensor of a result with a formula over the base's values and the inputs' changes.
    /// </summary>
    private protected void Verify(
        Dictionary<string, double[]> result,
        MergeInput[] inputs,
        Func<string, double[], double[][], double[]> formula,
        double tolerance = 1e-6
    )
    {
        Dictionary<string, double[]> origin = Values(Base);
        Assert.That(result.Keys, Is.EquivalentTo(origin.Keys));
        Dictionary<string, double[]>[] tuned = [.. inputs.Select(input => Values(input.Directory))];
        foreach ((string name, double[] theta) in origin)
        {
            double[][] changes =
            [
                .. tuned.Select(values =>
                    values[name].Select((value, i) => (double)(float)(value - theta[i])).ToArray()
                ),
            ];
            Compare(result[name], formula(name, theta, changes), tolerance, name);
        }
    }

    private protected static void Compare(double[] actual, double[] expected, double tolerance, string what)
    {
        Assert.That(actual, Has.Length.EqualTo(expected.Length), what);
        double largest = expected.Max(Math.Abs);
        for (int i = 0; i < actual.Length; i++)
        {
            if (!(Math.Abs(actual[i] - expected[i]) <= tolerance * Math.Max(largest, 1)))
                Assert.Fail($"{what}[{i}] is {actual[i]}, expected {expected[i]}");
        }
    }

    /// <summary>Writes an adapter of the base whose factors have random values.</summary>
    private protected string AdapterOf(string method, int rank, int seed, string directory, string[]? targets = null)
    {
        using var folder = ModelFolder.Open(Base);
        using var model = CausalLanguageModel.Load(folder, Device, DType.F32);
        AdapterOptions options = new() { Rank = rank, TargetModules = targets ?? ["q_proj", "down_proj"] };
        using var adapter = Adapter.Attach(model, AdapterMethods.Find(method), options);
        TestAdapters.Perturb(adapter, seed);
        Directory.CreateDirectory(directory);
        adapter.Save(directory);
        return directory;
    }

    private protected string Write(
        string name,
        int seed,
        double distance,
        JsonObject? json = null,
        StoredType type = StoredType.F32
    )
    {
        string directory = Folder.File(name);
        Directory.CreateDirectory(directory);
        File.WriteAllText(Path.Combine(directory, "config.json"), (json ?? Config()).ToJsonString());
        var config = ModelConfig.Load(directory);
        Random random = new(seed);
        List<TensorToWrite> tensors = [];
        int number = 0;
        foreach (TensorSpec spec in ModelTensors.For(config))
        {
            Random start = new(++number);
            float[] values = new float[spec.Count];
            for (int i = 0; i < values.Length; i++)
                values[i] = start.NextSingle() - 0.5f + (float)(distance * (random.NextDouble() - 0.5));
            tensors.Add(TensorToWrite.Floats(spec.Name, type, spec.Shape, () => values));
        }
        SafetensorsWriter.Write(Path.Combine(directory, "model.safetensors"), tensors);
        return directory;
    }

    /// <summary>Rewrites the values of one tensor of a folder.</summary>
    private protected static void Edit(string directory, string tensor, Func<int, float, float> change)
    {
        string path = Path.Combine(directory, "model.safetensors");
        List<TensorToWrite> tensors = [];
        using (var file = SafetensorsFile.Open(path))
        {
            foreach (SafetensorsTensor stored in file.Tensors.Values)
            {
                float[] values = stored.ToFloats();
                if (stored.Name == tensor)
                    values = [.. values.Select((value, i) => change(i, value))];
                tensors.Add(TensorToWrite.Floats(stored.Name, stored.Type, stored.Shape, () => values));
            }
        }
        SafetensorsWriter.Write(path, tensors);
    }

    /// <summary>Puts NaN into the sixth value of the query weight of a folder.</summary>
    private protected static void Poison(string directory)
    {
        string path = Path.Combine(directory, "model.safetensors");
        byte[] bytes = File.ReadAllBytes(path);
        int at;
        using (var file = SafetensorsFile.Open(path))
        {
            byte[] own = file[Query].Data.ToArray();
            at = bytes.AsSpan().IndexOf(own);
        }
        BitConverter.GetBytes(float.NaN).CopyTo(bytes, at + (5 * sizeof(float)));
        File.WriteAllBytes(path, bytes);
    }

    /// <summary>Expects a refusal whose message has all parts.</summary>
    private protected static NUnit.Framework.Constraints.IResolveConstraint Refuses(params string[] parts)
    {
        NUnit.Framework.Constraints.Constraint message = Does.Contain(parts[0]);
        foreach (string part in parts.Skip(1))
            message &= Does.Contain(part);
        return Throws.TypeOf<InputException>().With.Message.Matches(message);
    }
}
