using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.IO;
using Spectral.Training.Merging;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Merging;

/// <summary>Merges that are written as a plain LoRA: the best of their rank, with the error as stated.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class LowRankMergeTests(DeviceKind kind) : MergeTest(kind)
{
    [Test]
    public void ATunedModelBecomesTheBestLoraOfARank()
    {
        MergeInput input = Tuned(1);
        LowRankResult made = Written(4, input);
        Assert.That(made.Layers, Has.Count.EqualTo(21));
        Assert.That(made.LeftOut, Has.Count.EqualTo(9), "embedding, head and norms");
        using var file = SafetensorsFile.Open(Path.Combine(Out, "adapter_model.safetensors"));
        double lacking = 0;
        double all = 0;
        foreach (string name in Values(Base).Keys)
            all += Changes(name, input)[0].Sum(value => value * value);
        foreach (string name in made.LeftOut)
            lacking += Changes(name, input)[0].Sum(value => value * value);
        foreach (LowRankLayer layer in made.Layers)
        {
            var change = Dense.Of(layer.Outputs, layer.Inputs, Changes($"{layer.Name}.weight", input)[0]);
            (Dense _, double[] values, Dense _) = JacobiSvd.Of(change);
            double norm = values.Sum(value => value * value);
            double best = values.Skip(4).Sum(value => value * value);
            Dense lora = Read(file, layer, "lora_B", layer.Outputs, 4) * Read(file, layer, "lora_A", 4, layer.Inputs);
            double own = (change - lora).Values.Sum(value => value * value);
            Assert.That(Math.Sqrt(own), Is.EqualTo(Math.Sqrt(best)).Within(0.01).Percent, layer.Name);
            Assert.That(layer.Error, Is.EqualTo(Math.Sqrt(best / norm)).Within(0.01).Percent, layer.Name);
            lacking += own;
        }
        Assert.That(made.Error, Is.EqualTo(Math.Sqrt(lacking / all)).Within(0.01).Percent);
    }

    [Test]
    public void TheLoraMergesToWhatTheMethodGives()
    {
        string first = Lora("first", 2, 1);
        string second = Lora("second", 3, 2);
        MergeInput[] inputs = [new(first, 0.5), new(second, -2)];
        Dictionary<string, double[]> whole = Merge("linear", null, inputs);
        LowRankResult made = Written(5, inputs);
        Assert.That(made.Error, Is.LessThan(1e-5), "the ranks add up to 5, as in PEFT's cat");
        Assert.That(made.LeftOut, Is.Empty);
        string lora = Folder.File("lora");
        Directory.Move(Out, lora);
        Dictionary<string, double[]> folded = Merge("linear", null, new MergeInput(lora));
        foreach ((string name, double[] values) in whole)
            Compare(folded[name], values, 1e-6, name);
    }

    [Test]
    public void WithoutAChangedLayerThereIsNothingToWrite() =>
        Assert.That(
            () => Written(2, new MergeInput(Base)),
            Throws.TypeOf<InputException>().With.Message.Contains("change no linear layer")
        );

    private LowRankResult Written(int rank, params MergeInput[] inputs)
    {
        if (Directory.Exists(Out))
            Directory.Delete(Out, recursive: true);
        Directory.CreateDirectory(Out);
        using var model = ModelFolder.Open(Base);
        using var merge = ModelMerge.Open(model, MergeMethods.Find("linear"), inputs, new MergeOptions(), Device);
        return merge.WriteAdapter(Out, rank);
    }

    private static Dense Read(SafetensorsFile file, LowRankLayer layer, string leaf, int rows, int columns) =>
        Dense.Of(
            rows,
            columns,
            Array.ConvertAll(file[$"base_model.model.{layer.Name}.{leaf}.weight"].ToFloats(), value => (double)value)
        );

    private string Lora(string name, int rank, int seed) => AdapterOf("lora", rank, seed, Folder.File(name));
}
