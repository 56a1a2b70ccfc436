using System.Text.Json.Nodes;
using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.IO;
using Spectral.Training.Merging;
using Spectral.Training.Models;
using Spectral.Training.Spectra;

namespace Spectral.Training.Tests.Merging;

/// <summary>What the engine does for all methods: inputs of all kinds, files, types, layers, refusals.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class ModelMergeTests(DeviceKind kind) : MergeTest(kind)
{
    private const string Down = "model.layers.2.mlp.down_proj.weight";

    [TestCase("lora", 2)]
    [TestCase("dora", 3)]
    [TestCase("oft", 1)]
    [TestCase("speclora", 2)]
    public void AnAdapterCountsAsItsDenseChange(string method, int rank)
    {
        string adapter = AdapterOf(method, rank, 7, Folder.File("adapter"));
        MergeInput tuned = Tuned(1, weight: 0.5);
        Dictionary<string, double[]> folded = Folded(adapter);
        Dictionary<string, double[]> origin = Values(Base);
        Dictionary<string, double[]> other = Values(tuned.Directory);
        Dictionary<string, double[]> result = Merge("linear", null, new MergeInput(adapter, 2), tuned);
        foreach ((string name, double[] theta) in origin)
        {
            Compare(
                result[name],
                [
                    .. theta.Select(
                        (value, i) => value + (2 * (folded[name][i] - value)) + (0.5 * (other[name][i] - value))
                    ),
                ],
                2e-6,
                name
            );
        }
    }

    [Test]
    public void TensorsThatNoAdapterChangesAreCopied()
    {
        Dictionary<string, double[]> result = Merge(
            "ties",
            null,
            new MergeInput(AdapterOf("lora", 2, 7, Folder.File("adapter")))
        );
        Assert.That(result[Embedding], Is.EqualTo(Values(Base)[Embedding]));
        Assert.That(result[Query], Is.Not.EqualTo(Values(Base)[Query]));
    }

    [Test]
    public void OnlyTheChosenLayersAreMerged()
    {
        MergeInput input = Tuned(1);
        Dictionary<string, double[]> result = Merge("linear", new MergeOptions { Layers = [1] }, input);
        Assert.That(result[Down], Is.EqualTo(Values(Base)[Down]));
        Assert.That(result[Embedding], Is.EqualTo(Values(Base)[Embedding]));
        Compare(result[Query], Values(input.Directory)[Query], 1e-7, Query);
    }

    [Test]
    public void TheResultHasTheTypesAndTheFilesOfTheBase()
    {
        string sharded = Sharded(StoredType.BF16);
        Directory.CreateDirectory(Out);
        MergeInput input = Tuned(1);
        using (var model = ModelFolder.Open(sharded))
        using (ModelMerge merge = Opened(model, "linear", input))
            Assert.That(merge.Write(Out), Is.EqualTo(Values(Base).Count));
        Assert.That(
            Directory.GetFiles(Out).Select(Path.GetFileName).Order(),
            Is.EqualTo(
                new[]
                {
                    "config.json",
                    "model-00001-of-00002.safetensors",
                    "model-00002-of-00002.safetensors",
                    "model.safetensors.index.json",
                }
            )
        );
        using var result = ModelFolder.Open(Out);
        Assert.That(result.Warnings, Is.Empty);
        Assert.That(result[Query].Type, Is.EqualTo(StoredType.BF16));
        using var before = SafetensorsFile.Open(Path.Combine(sharded, "b.safetensors"));
        using var after = SafetensorsFile.Open(Path.Combine(Out, "model-00002-of-00002.safetensors"));
        Assert.That(after.Tensors.Keys, Is.EquivalentTo(before.Tensors.Keys));
        Compare(Values(Out)[Query], Values(input.Directory)[Query], 1.0 / 256, Query);
    }

    [Test]
    public void AFoldedAdapterLeavesTheFilesOfTheBase()
    {
        string adapter = AdapterOf("lora", 2, 7, Folder.File("adapter"));
        string[] before = Shards(Sharded(StoredType.F32));
        Directory.CreateDirectory(Out);
        using (var model = ModelFolder.Open(Folder.File("sharded")))
            Merger.Merge(model, adapter, Out, Device);
        Assert.That(Shards(Out), Is.EqualTo(before));
        Assert.That(Values(Out)[Query], Is.EqualTo(Folded(adapter)[Query]));
    }

    [Test]
    public void ACorrectedModelHasTheFilesItHad()
    {
        string[] before = Shards(Sharded(StoredType.BF16));
        Directory.CreateDirectory(Out);
        WeightCorrections corrections = new();
        corrections.Add(Query, values => values.AsSpan().Fill(0.5f));
        using (var model = ModelFolder.Open(Folder.File("sharded")))
            corrections.Write(model, null, Out, Device, CancellationToken.None);
        Dictionary<string, double[]> expected = Values(Folder.File("sharded"));
        Array.Fill(expected[Query], 0.5);
        Assert.That(Shards(Out), Is.EqualTo(before));
        Assert.That(Values(Out), Is.EqualTo(expected));
    }

    [Test]
    public void AnotherTypeCanBeAskedFor()
    {
        Merge("linear", new MergeOptions { Type = StoredType.F16 }, Tuned(1));
        using var result = ModelFolder.Open(Out);
        Assert.That(result.TensorNames.Select(name => result[name].Type), Is.All.EqualTo(StoredType.F16));
    }

    [Test]
    public void ProgressCountsEveryTensorOfEveryPass()
    {
        List<MergeProgress> reports = [];
        Directory.CreateDirectory(Out);
        using var model = ModelFolder.Open(Base);
        MergeOptions options = With(("scope", 1));
        using var merge = ModelMerge.Open(model, MergeMethods.Find("ties"), [Tuned(1)], options, Device);
        merge.Write(Out, reports.Add);
        int tensors = Values(Base).Count;
        Assert.That(reports.Select(report => report.Done), Is.EqualTo(Enumerable.Range(1, 3 * tensors)));
        Assert.That(reports.Select(report => report.Total), Is.All.EqualTo(3 * tensors));
    }

    /// <summary>A checkpoint trained apart has the right names and shapes, and nothing else in common.</summary>
    [TestCase("linear", 0.5, false)]
    [TestCase("linear", 20, true)]
    [TestCase("otfusion", 20, false)]
    public void AnInputFarFromTheBaseIsDoubted(string method, double distance, bool isDoubted)
    {
        using var model = ModelFolder.Open(Base);
        using ModelMerge merge = Opened(model, method, Tuned(1), Tuned(2, distance));
        Assert.That(
            merge.Warnings,
            isDoubted ? Has.One.Contains($"tuned2-{distance}: was it tuned from {Base}?") : Is.Empty
        );
    }

    [Test]
    public void AHeadThatAnInputUntiesIsStoredInTheResult()
    {
        JsonObject tied = Config();
        tied["tie_word_embeddings"] = true;
        Write("tied", 0, 0, tied);
        Directory.CreateDirectory(Out);
        MergeInput untied = Tuned(1);
        using (var model = ModelFolder.Open(Folder.File("tied")))
        using (ModelMerge merge = Opened(model, "linear", untied))
        {
            Assert.That(merge.Warnings, Has.One.Contains("unties"));
            merge.Write(Out);
        }
        Compare(Values(Out)["lm_head.weight"], Values(untied.Directory)["lm_head.weight"], 1e-6, "head");
        Compare(Values(Out)[Embedding], Values(untied.Directory)[Embedding], 1e-6, "embedding");
    }

    [TestCase("vocab_size", 5502, "model.embed_tokens.weight is [5502, 13], expected [5501, 13]")]
    [TestCase("num_hidden_layers", 4, "has a tensor model.layers.3")]
    [TestCase("num_hidden_layers", 2, "no tensor model.layers.2")]
    public void ACheckpointOfAnotherBaseIsRefused(string key, int value, string message)
    {
        JsonObject json = Config();
        json[key] = value;
        string other = Write("other", 0, 0, json);
        Assert.That(() => Merge("linear", null, new MergeInput(other)), Refuses($"{other}: ", message));
    }

    [Test]
    public void AnAdapterOfAnotherBaseIsRefused()
    {
        string adapter = AdapterOf("speclora", 2, 7, Folder.File("adapter"));
        Edit(Base, Query, (i, value) => i == 3 ? value + 1 : value);
        Assert.That(() => Merge("linear", null, new MergeInput(adapter)), Refuses(adapter, "SHA-256"));
    }

    [Test]
    public void ValuesThatAreNotFiniteAreRefusedWithTheirPlace()
    {
        MergeInput input = Tuned(1);
        Poison(input.Directory);
        Assert.That(() => Merge("linear", null, input), Refuses(input.Directory, Query, "NaN at [0, 5]"));
    }

    [Test]
    public void SumsBeyondTheTypeAreRefused()
    {
        MergeInput input = Tuned(1, weight: 1e38);
        Assert.That(() => Merge("linear", null, input with { Weight = 1e39 }), Refuses("expected finite numbers"));
    }

    [Test]
    public void OptionsThatAMethodDoesNotHaveAreRefused()
    {
        MergeInput input = Tuned(1);
        MergeOptions none = new();
        Assert.Multiple(() =>
        {
            Assert.That(() => Merge("slerp", none, input), Refuses("slerp: 1 input is given, expected 2 inputs"));
            Assert.That(() => Merge("linear", none), Refuses("linear: 0 inputs are given, expected at least 1 input"));
            Assert.That(() => Merge("linear", none with { Density = 0.5 }, input), Refuses("linear has no density"));
            Assert.That(() => Merge("ties", none with { Density = 0 }, input), Refuses("density 0", "above 0"));
            Assert.That(() => Merge("ties", none with { Density = 1.5 }, input), Refuses("density 1.5", "at most 1"));
            Assert.That(() => Merge("ties", none with { Layers = [3] }, input), Refuses("layer 3", "0 to 2"));
            Assert.That(() => Merge("ties", With(("t", 1)), input), Refuses("setting t", "scope, vote, lambda"));
            Assert.That(() => Merge("ties", With(("lambda", -1)), input), Refuses("lambda=-1", "from 0 to 10"));
            Assert.That(() => Merge("linaer", none, input), Refuses("'linaer'", "did you mean linear?"));
            Assert.That(
                () => Merge("slerp", none, input with { Weight = 1 }, input),
                Refuses("slerp has no weights of its inputs")
            );
            Assert.That(() => Merge("linear", none, new MergeInput(Folder.Path)), Refuses("expected an adapter"));
            Assert.That(() => Merge("linear", none, new MergeInput("nowhere")), Refuses("nowhere: no such folder"));
        });
    }

    private ModelMerge Opened(ModelFolder model, string method, params MergeInput[] inputs) =>
        ModelMerge.Open(model, MergeMethods.Find(method), inputs, new MergeOptions(), Device);

    private Dictionary<string, double[]> Folded(string adapter)
    {
        string directory = Directory.CreateDirectory(Folder.File("folded")).FullName;
        using var model = ModelFolder.Open(Base);
        Merger.Merge(model, adapter, directory, Device);
        return Values(directory);
    }

    /// <summary>Returns the names of the tensors in each file of weights, in the files' order.</summary>
    private static string[] Shards(string directory)
    {
        List<string> shards = [];
        foreach (string path in Directory.GetFiles(directory, "*.safetensors").Order(StringComparer.Ordinal))
        {
            using var file = SafetensorsFile.Open(path);
            shards.Add(string.Join(' ', file.Tensors.Keys.Order(StringComparer.Ordinal)));
        }

        return [.. shards];
    }

    private string Sharded(StoredType type)
    {
        string directory = Write("sharded", 0, 0, type: type);
        string whole = Path.Combine(directory, "model.safetensors");
        JsonObject map = [];
        using (var file = SafetensorsFile.Open(whole))
        {
            string[] names = [.. file.Tensors.Keys.Order(StringComparer.Ordinal)];
            foreach ((string shard, string[] own) in new[] { ("a", names[..9]), ("b", names[9..]) })
            {
                SafetensorsWriter.Write(
                    Path.Combine(directory, $"{shard}.safetensors"),
                    [.. own.Select(name => TensorToWrite.Copy(file[name], name))]
                );
                foreach (string name in own)
                    map[name] = $"{shard}.safetensors";
            }
        }
        File.Delete(whole);
        File.WriteAllText(
            Path.Combine(directory, "model.safetensors.index.json"),
            new JsonObject { ["weight_map"] = map }.ToJsonString()
        );
        return directory;
    }
}
