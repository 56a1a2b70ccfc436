using System.Text.Json.Nodes;
using Spectral.Kernels;
using Spectral.Training.Adapters;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Merging;
using Spectral.Training.Models;

namespace Spectral.Training.Tests.Support;

/// <summary>
/// Base of fixtures about adapter files: a tiny model with every bias there is, a folder with an adapter that the test
/// writes, and the weights in double that the two should make together.
/// </summary>
public abstract class AdapterFileTest(DeviceKind kind) : TrainingTest(kind)
{
    private protected const string Query = "model.layers.0.self_attn.q_proj";
    private protected const string Down = "model.layers.1.mlp.down_proj";

    private readonly List<TensorToWrite> _tensors = [];
    private readonly Random _random = new(11);

    /// <summary>As it was read: a file has no place for some of what <see cref="TinyModels.Everything"/> has.</summary>
    private protected ModelConfig Model => Loaded.Config;

    private protected CausalLanguageModel Loaded { get; private set; } = null!;

    /// <summary>What the adapter makes of the model, by tensor name: the base's own to begin with.</summary>
    private protected Dictionary<string, double[]> Expected { get; private set; } = null!;

    private protected string Saved => Path.Combine(Folder.Path, "adapter");

    [SetUp]
    public void MakeModel()
    {
        Loaded = Keep(TinyModels.Frozen(TinyModels.Everything, Device, Folder));
        Expected = TestAdapters.Weights(Folder.Path);
        _tensors.Clear();
        Directory.CreateDirectory(Saved);
    }

    /// <summary>Adds a tensor of random values to the file.</summary>
    private protected double[] Tensor(string name, params int[] shape)
    {
        int count = shape.Aggregate(1, (a, b) => a * b);
        float[] values = [.. Enumerable.Range(0, count).Select(_ => (float)(_random.NextDouble() - 0.5))];
        _tensors.Add(TensorToWrite.Floats(name, StoredType.F32, [.. shape.Select(size => (long)size)], () => values));
        return Array.ConvertAll(values, value => (double)value);
    }

    /// <summary>Adds A [2, in] and B [out, 2] of a layer and returns B·A.</summary>
    private protected Dense LowRank(string module, string prefix = "base_model.model.", string middle = "")
    {
        (int rows, int columns) = Shape(module);
        double[] a = Tensor($"{prefix}{module}.lora_A{middle}.weight", 2, columns);
        double[] b = Tensor($"{prefix}{module}.lora_B{middle}.weight", rows, 2);
        return Dense.Of(rows, 2, b) * Dense.Of(2, columns, a);
    }

    private protected (int Out, int In) Shape(string module)
    {
        LinearSpec linear = ModelTensors.Linears(Model).First(linear => linear.Name == module);
        return (linear.Outputs, linear.Inputs);
    }

    /// <summary>A base weight.</summary>
    private protected Dense Weight(string module)
    {
        (int rows, int columns) = Shape(module);
        return Dense.Of(rows, columns, Expected[$"{module}.weight"]);
    }

    /// <summary>PEFT's config of a LoRA of rank 2 and alpha 4, with other values for some keys.</summary>
    private protected void Write(string targets, params (string Key, string Json)[] changes)
    {
        JsonObject config = AdapterFiles.PeftConfig();
        config["target_modules"] = JsonNode.Parse(targets);
        config["lora_alpha"] = 4;
        foreach ((string key, string json) in changes)
            config[key] = JsonNode.Parse(json);
        Write(config);
    }

    private protected void Write(JsonObject config, string weights = "adapter_model.safetensors")
    {
        File.WriteAllText(Path.Combine(Saved, "adapter_config.json"), config.ToJsonString());
        SafetensorsWriter.Write(Path.Combine(Saved, weights), _tensors);
    }

    /// <summary>What is odd but harmless in the folder.</summary>
    private protected IReadOnlyList<string> Warnings()
    {
        using AdapterReader reader = new(Saved, Model);
        return reader.Warnings;
    }

    /// <summary>
    /// Attached, merged, and saved and read again, the adapter makes <see cref="Expected"/> of the model.
    /// </summary>
    private protected void Verify(double tolerance = 1e-5)
    {
        string again = Path.Combine(Folder.Path, "again");
        using (var adapter = Adapter.Load(Loaded, Saved))
        {
            VerifyLogits(tolerance);
            adapter.Save(again);
        }
        using (AdapterReader reader = new(again, Model))
            Assert.That(reader.Warnings, Is.Empty, "what was saved again");
        using (Adapter.Load(Loaded, again))
            VerifyLogits(tolerance);
        VerifyMerged(tolerance);
    }

    /// <summary>The folder is read with one warning, which says all of this.</summary>
    private protected void VerifyWarning(params string[] says)
    {
        Assert.That(Warnings(), Has.Count.EqualTo(1));
        foreach (string text in says)
            Assert.That(Warnings()[0], Does.Contain(text));
    }

    /// <summary>The folder is refused for a model with a message that says all of this and where it is.</summary>
    private protected void VerifyRefused(ModelConfig model, params string[] says)
    {
        InputException error = Assert.Throws<InputException>(() => new AdapterReader(Saved, model).Dispose())!;
        foreach (string text in says)
            Assert.That(error.Message, Does.Contain(text).And.Contain(Saved));
    }

    /// <summary>A matrix whose rows get other lengths.</summary>
    private protected static Dense ScaledRows(Dense matrix, double[] lengths)
    {
        return Dense.Of(matrix.Rows, matrix.Columns, (i, j) => matrix[i, j] * lengths[i] / Length(i));

        double Length(int row) =>
            Math.Sqrt(Enumerable.Range(0, matrix.Columns).Sum(column => matrix[row, column] * matrix[row, column]));
    }

    private protected void VerifyMerged(double tolerance = 1e-5)
    {
        string merged = Directory.CreateDirectory(Path.Combine(Folder.Path, "merged")).FullName;
        using (var folder = ModelFolder.Open(Folder.Path))
            Merger.Merge(folder, Saved, merged, Device);
        foreach ((string name, double[] values) in TestAdapters.Weights(merged))
            Assert.That(values, Is.EqualTo(Expected[name]).Within(tolerance), $"{name}, merged");
    }

    private protected void VerifyLogits(double tolerance = 1e-5)
    {
        var data = Batch.Create(TinyModels.Records(4, Model, new Random(7)), 0);
        ReferenceModel reference = new(Model, Expected);
        List<double> expected = [];
        for (int row = 0; row < data.Rows; row++)
        {
            double[][] logits = reference.Logits(data.Tokens.AsSpan(row * data.Length, data.Length));
            for (int t = 0; t < data.Length; t++)
            {
                if (data.Targets[row * data.Length + t] >= 0)
                    expected.AddRange(logits[t]);
            }
        }
        using BatchTensors batch = new(Device, data);
        using Tensor actual = Loaded.Logits(batch, batch.LossRows);
        double[] values = Array.ConvertAll(actual.ToArray(), value => (double)value);
        Assert.That(values, Is.EqualTo(expected).Within(tolerance * (1 + expected.Max(Math.Abs))));
    }
}
