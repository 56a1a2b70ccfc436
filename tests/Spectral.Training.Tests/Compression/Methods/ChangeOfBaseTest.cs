using System.Text.Json.Nodes;
using Spectral.Kernels;
using Spectral.Training.Compression;
using Spectral.Training.IO;
using Spectral.Training.Merging;
using Spectral.Training.Models;
using Spectral.Training.Tests.Merging;

namespace Spectral.Training.Tests.Compression.Methods;

/// <summary>What holds for every method that compresses the change of a base.</summary>
public abstract class ChangeOfBaseTest(DeviceKind kind) : MergeTest(kind)
{
    private protected const string Norm = "model.layers.1.input_layernorm.weight";
    private protected const string Head = "lm_head.weight";

    private protected string Packed => Folder.File("packed");

    /// <summary>The method, and settings that suit the small base.</summary>
    private protected abstract (string Method, CompressionOptions Options) Case { get; }

    [Test]
    public void WhatIsNoLinearWeightStaysAsTuned()
    {
        MergeInput tuned = Tuned(1);
        CompressionResult made = Compress(tuned.Directory);
        Assert.That(made.Whole, Does.Contain(Embedding).And.Contain(Norm).And.Contain(Head).And.Not.Contain(Query));
        Assert.That(made.Layers, Has.Count.EqualTo(21));
        Dictionary<string, double[]> result = Merge("linear", null, new MergeInput(Packed));
        Dictionary<string, double[]> wanted = Values(tuned.Directory);
        foreach (string name in made.Whole)
            Compare(result[name], wanted[name], 1e-7, name);
    }

    [Test]
    public void TheErrorIsThatOfWhatMergingGives()
    {
        MergeInput tuned = Tuned(1);
        CompressionResult made = Compress(tuned.Directory);
        Dictionary<string, double[]> result = Merge("linear", null, new MergeInput(Packed));
        Dictionary<string, double[]> wanted = Values(tuned.Directory);
        Dictionary<string, double[]> origin = Values(Base);
        (double lost, double all) = (0, 0);
        foreach (CompressedLayer layer in made.Layers)
        {
            string name = $"{layer.Name}.weight";
            double own = Squares(wanted[name], result[name]);
            double norm = Squares(wanted[name], origin[name]);
            Assert.That(layer.Error, Is.EqualTo(Math.Sqrt(own / norm)).Within(1e-5), name);
            lost += own;
            all += norm;
        }
        Assert.That(made.Error, Is.EqualTo(Math.Sqrt(lost / all)).Within(1e-5));
        Assert.That(made.Error, Is.InRange(0.001, 0.99));
    }

    [Test]
    public void TheSizesAreThoseOfTheFiles()
    {
        MergeInput tuned = Tuned(1);
        CompressionResult made = Compress(tuned.Directory);
        Assert.That(made.BytesBefore, Is.EqualTo(SizeOf(tuned.Directory, "model.safetensors")));
        Assert.That(
            made.BytesAfter,
            Is.EqualTo(SizeOf(Packed, "packed_model.safetensors") + SizeOf(Packed, "compression.json"))
        );
        using var file = SafetensorsFile.Open(Path.Combine(Packed, "packed_model.safetensors"));
        string[] layers = [.. made.Layers.Select(layer => $"base_model.model.{layer.Name}.")];
        double bits = file
            .Tensors.Values.Where(tensor => layers.Any(layer => tensor.Name.StartsWith(layer)))
            .Sum(tensor => 8.0 * tensor.Bytes);
        Assert.That(
            made.BitsPerParameter,
            Is.EqualTo(bits / made.Layers.Sum(layer => layer.Outputs * layer.Inputs)).Within(1e-9)
        );
    }

    [TestCase("lora", 2)]
    [TestCase("oft", 1)]
    public void AnAdapterIsCompressedAsTheCheckpointThatItMakes(string method, int rank)
    {
        string adapter = AdapterOf(method, rank, 7, Folder.File("adapter"));
        Merge("linear", null, new MergeInput(adapter));
        string tuned = Folder.File("tuned");
        Directory.Move(Out, tuned);
        CompressionResult direct = Compress(adapter);
        Assert.That(direct.Layers.Select(layer => layer.Name), Has.Some.EndsWith("q_proj").And.None.EndsWith("k_proj"));
        Assert.That(direct.Whole, Is.Empty);
        double error = direct.Error;
        Assert.That(Compress(tuned).Error, Is.EqualTo(error).Within(0.02));
    }

    [Test]
    public void AHeadThatIsTiedStaysTied()
    {
        JsonObject tied = Config();
        tied["tie_word_embeddings"] = true;
        Directory.Delete(Base, recursive: true);
        Write("base", 0, 0, tied);
        string tuned = Write("tuned", 1, 0.1, tied);
        Compress(tuned);
        Dictionary<string, double[]> result = Merge("linear", null, new MergeInput(Packed));
        Assert.That(result.Keys, Has.No.Member(Head));
        Compare(result[Embedding], Values(tuned)[Embedding], 1e-7, Embedding);
    }

    [Test]
    public void AHeadThatTuningUntiedIsStored()
    {
        JsonObject tied = Config();
        tied["tie_word_embeddings"] = true;
        string tuned = Tuned(1).Directory;
        Directory.Delete(Base, recursive: true);
        Write("base", 0, 0, tied);
        Compress(tuned);
        Dictionary<string, double[]> result = Merge("linear", null, new MergeInput(Packed));
        Compare(result[Embedding], Values(tuned)[Embedding], 1e-7, Embedding);
        Compare(result[Head], Values(tuned)[Head], 1e-7, Head);
    }

    [Test]
    public void BiasesAreStoredWhole()
    {
        JsonObject json = Config();
        json["attention_bias"] = true;
        Directory.Delete(Base, recursive: true);
        Write("base", 0, 0, json);
        string tuned = Write("tuned", 1, 0.1, json);
        CompressionResult made = Compress(tuned);
        const string bias = "model.layers.1.self_attn.q_proj.bias";
        Assert.That(made.Whole, Does.Contain(bias));
        Compare(Merge("linear", null, new MergeInput(Packed))[bias], Values(tuned)[bias], 1e-7, bias);
    }

    [Test]
    public void AnotherBaseIsRefused()
    {
        Compress(Tuned(1).Directory);
        Edit(Base, Query, (i, value) => i == 3 ? value + 1 : value);
        Assert.That(
            () => Merge("linear", null, new MergeInput(Packed)),
            Throws.TypeOf<InputException>().With.Message.Contains("SHA-256").And.Message.Contains(Packed)
        );
    }

    [Test]
    public void InputsThatDoNotSuitAreRefused()
    {
        MergeInput tuned = Tuned(1);
        JsonObject json = Config();
        json["intermediate_size"] = 16;
        string other = Write("other", 0, 0, json);
        Assert.Multiple(() =>
        {
            Assert.That(() => Compress(Base), Refuses("no linear weight differs", Base));
            Assert.That(() => Compress(other), Refuses(other, "expected [17, 13]"));
            Assert.That(() => Compress(Folder.File("none")), Refuses("no such folder"));
            Assert.That(() => CompressAlone(tuned.Directory), Refuses("expected --model"));
        });
        Poison(tuned.Directory);
        Assert.That(() => Compress(tuned.Directory), Refuses(tuned.Directory, Query, "NaN at [0, 5]"));
    }

    [Test]
    public void AStopLeavesNoFile()
    {
        string tuned = Tuned(1).Directory;
        using CancellationTokenSource stop = new();
        Directory.CreateDirectory(Packed);
        using var model = ModelFolder.Open(Base);
        Assert.That(
            () =>
                Compressor.Compress(
                    CompressionMethods.Find(Case.Method),
                    tuned,
                    Packed,
                    Case.Options,
                    Device,
                    model,
                    progress => stop.Cancel(),
                    stop.Token
                ),
            Throws.InstanceOf<OperationCanceledException>()
        );
        Assert.That(Directory.GetFiles(Packed), Is.Empty);
    }

    private protected CompressionResult Compress(string input, CompressionOptions? options = null)
    {
        if (Directory.Exists(Packed))
            Directory.Delete(Packed, recursive: true);
        Directory.CreateDirectory(Packed);
        using var model = ModelFolder.Open(Base);
        CompressionMethod method = CompressionMethods.Find(Case.Method);
        return Compressor.Compress(method, input, Packed, options ?? Case.Options, Device, model);
    }

    private protected static CompressionOptions Setting(string name, double value) =>
        new() { Settings = new Dictionary<string, double> { [name] = value } };

    private protected static double Squares(double[] a, double[] b) => a.Zip(b, (x, y) => (x - y) * (x - y)).Sum();

    private void CompressAlone(string input) =>
        Compressor.Compress(CompressionMethods.Find(Case.Method), input, Packed, Case.Options, Device);

    private static long SizeOf(string directory, string name) => new FileInfo(Path.Combine(directory, name)).Length;
}
