using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Compression;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Merging;
using Spectral.Training.Models;
using Spectral.Training.Routing;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Merging.Methods;

/// <summary>
/// The folder of experts: packed inputs, features as a model in double has them, and records that go where they belong.
/// </summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class AutoFlexSwitchMergeTests(DeviceKind kind) : MergeTest(kind)
{
    private const string Method = "auto-flexswitch";

    private string Queries => Path.Combine(Out, "queries.safetensors");

    [Test]
    public void QueriesAreTheMeansOfTheBasesStatesOverThePrompts()
    {
        EncodedRecord[][] data =
        [
            [.. Records(1), Text(5)],
            Records(2, count: 4),
        ];
        Make(Options(3, data));
        using var file = SafetensorsFile.Open(Queries);
        for (int i = 0; i < data.Length; i++)
        {
            SafetensorsTensor stored = file[$"expert-{i + 1}"];
            Assert.That(stored.Shape, Is.EqualTo(new long[] { data[i].Length, 13 }));
            double[] expected = [.. data[i].SelectMany(record => Feature(Prompt(record)))];
            Compare([.. stored.ToFloats().Select(value => (double)value)], expected, 2e-5, stored.Name);
        }
    }

    [Test]
    public void ExpertsAreTheInputsAsFlexSwitchPacksThem()
    {
        (MergeInput[] inputs, int tensors) = Make(Options(3, Records(1), Records(2)) with { Density = 0.3 });
        for (int i = 0; i < inputs.Length; i++)
        {
            string expert = Path.Combine(Out, $"expert-{i + 1}");
            string alone = Directory.CreateDirectory(Folder.File($"alone-{i}")).FullName;
            using (var model = ModelFolder.Open(Base))
            {
                CompressionOptions options = new() { Settings = new Dictionary<string, double> { ["density"] = 0.3 } };
                CompressionMethod flexSwitch = CompressionMethods.Find("flex-switch");
                CompressionResult packed = Compressor.Compress(
                    flexSwitch,
                    inputs[i].Directory,
                    alone,
                    options,
                    Device,
                    model
                );
                tensors -= packed.Tensors;
            }
            foreach (string file in Directory.GetFiles(alone))
            {
                Assert.That(
                    File.ReadAllBytes(Path.Combine(expert, Path.GetFileName(file))),
                    Is.EqualTo(File.ReadAllBytes(file)),
                    file
                );
            }
        }
        Assert.That(tensors, Is.EqualTo(2), "the queries of both experts");
        var experts = ExpertFolder.Open(Out);
        Assert.That(experts.Experts.Select(expert => expert.Name), Is.EqualTo(inputs.Select(input => input.Directory)));
    }

    [Test]
    public void RecordsGoToTheExpertOfTheirNearestQueriesAndAreScoredThere()
    {
        EncodedRecord[][] data = [Records(1), Records(2)];
        Make(Options(3, data));
        EncodedRecord[] records = [data[1][2], .. Records(3, count: 9), data[0][4], Text(11), data[1][0]];
        int[] expected = [.. records.Select(record => Nearest(data, Prompt(record), 3))];
        Assert.That(expected, Does.Contain(0).And.Contain(1), "both experts take records");
        using CausalLanguageModel model = LoadBase();
        var experts = ExpertFolder.Open(Out);
        Assert.That(experts.Choose(model, records, batch: 2), Is.EqualTo(expected));
        Assert.That(
            records.Select(record => experts.Choose(model, Prompt(record))),
            Is.EqualTo(expected.Select(i => experts.Experts[i]))
        );

        RoutedEvaluation found = RoutedEvaluator.Evaluate(model, experts, records, batch: 2);
        Assert.That(Adapter.Of(model), Is.Null, "the experts are detached");
        (double loss, double matches) = (0, 0);
        for (int i = 0; i < 2; i++)
        {
            EncodedRecord[] own = [.. records.Where((_, record) => expected[record] == i)];
            using var adapter = Adapter.Load(model, experts.Experts[i].Directory);
            EvaluationResult alone = Evaluator.Evaluate(model, own, batch: 2);
            Assert.That(found.Experts[i].Result, Is.EqualTo(alone));
            loss += alone.Loss * alone.Tokens;
            matches += alone.ExactMatch!.Value * own.Count(record => record.HasCompletion);
        }
        Assert.That(found.Result.Records, Is.EqualTo(records.Length));
        Assert.That(found.Result.Tokens, Is.EqualTo(records.Sum(record => record.LossTokens)));
        Assert.That(found.Result.Loss, Is.EqualTo(loss / found.Result.Tokens).Within(1e-12));
        Assert.That(found.Result.ExactMatch, Is.EqualTo(matches / (records.Length - 1)).Within(1e-12));
    }

    [Test]
    public void OptionsThatDoNotSuitAreRefused()
    {
        MergeOptions options = Options(3, Records(1), Records(2));
        Assert.Multiple(() =>
        {
            Assert.That(() => Make(Options(15, Records(1), Records(2))), Refuses("neighbours=15", "14 records in all"));
            Assert.That(() => Make(options with { Layers = [1] }), Refuses(Method, "no list of layers"));
            Assert.That(() => Make(Options(3, Records(1))), Refuses(Method, "2 files of records", "1 are given"));
            Assert.That(
                () => Make(Options(3, [Records(1)[0] with { PromptLength = 0 }], Records(2))),
                Refuses("prompt 1")
            );
        });
        using var model = ModelFolder.Open(Base);
        using var merge = ModelMerge.Open(model, MergeMethods.Find(Method), [Tuned(1), Tuned(2)], options, Device);
        Assert.That(() => merge.WriteAdapter(Out, 2), Refuses(Method, "no one adapter"));
    }

    [Test]
    public void AnotherBaseIsRefused()
    {
        EncodedRecord[] records = Records(1);
        Make(Options(3, records, Records(2)));
        Edit(Base, Query, (i, value) => i == 3 ? value + 1 : value);
        using CausalLanguageModel model = LoadBase();
        var experts = ExpertFolder.Open(Out);
        Assert.That(() => RoutedEvaluator.Evaluate(model, experts, records), Refuses("SHA-256", Base));
    }

    [Test]
    public void WhatReadsOneAdapterSaysThatThereAreSeveral()
    {
        Make(Options(3, Records(1), Records(2)));
        string experts = Folder.File("experts");
        Directory.Move(Out, experts);
        Assert.That(() => Merge("linear", null, new MergeInput(experts)), Refuses(experts, "several experts"));
        Assert.That(() => new AdapterReader(experts), Refuses(experts, "several experts"));
    }

    private (MergeInput[] Inputs, int Tensors) Make(MergeOptions options)
    {
        MergeInput[] inputs = [Tuned(1), new(AdapterOf("lora", 3, 1, Folder.File("lora")))];
        if (Directory.Exists(Out))
            Directory.Delete(Out, recursive: true);
        Directory.CreateDirectory(Out);
        using var model = ModelFolder.Open(Base);
        using var merge = ModelMerge.Open(model, MergeMethods.Find(Method), inputs, options, Device);
        return (inputs, merge.Write(Out));
    }

    private static MergeOptions Options(int neighbours, params EncodedRecord[][] data) =>
        With(("neighbours", neighbours)) with
        {
            Data = data,
            Batch = 3,
        };

    private static EncodedRecord Text(int token) => new([token, 3, 17, 5], 0, 1, Cut: false);

    private static int[] Prompt(EncodedRecord record) =>
        record.HasCompletion ? record.Tokens[..record.PromptLength] : record.Tokens;

    private CausalLanguageModel LoadBase()
    {
        using var folder = ModelFolder.Open(Base);
        return CausalLanguageModel.Load(folder, Device, DType.F32);
    }

    /// <summary>The feature of a prompt by a model in double, whose head shows the normalised states.</summary>
    private double[] Feature(int[] prompt)
    {
        var config = ModelConfig.Load(Base);
        Dictionary<string, double[]> weights = Values(Base);
        double[] head = weights["lm_head.weight"];
        Array.Clear(head);
        for (int i = 0; i < config.HiddenSize; i++)
            head[(i * config.HiddenSize) + i] = 1;
        double[][] states = new ReferenceModel(config, weights).Logits(prompt);
        return [.. Enumerable.Range(0, config.HiddenSize).Select(i => states.Average(state => state[i]))];
    }

    /// <summary>The expert that most of the nearest queries belong to, of two with an odd number of queries.</summary>
    private int Nearest(EncodedRecord[][] data, int[] prompt, int count)
    {
        double[] feature = Feature(prompt);
        IEnumerable<int> nearest = data.SelectMany(
                (records, expert) =>
                    records.Select(record =>
                        (
                            Expert: expert,
                            Squares: Feature(Prompt(record)).Zip(feature, (a, b) => (a - b) * (a - b)).Sum()
                        )
                    )
            )
            .OrderBy(query => query.Squares)
            .Take(count)
            .Select(query => query.Expert);
        return 2 * nearest.Sum() > count ? 1 : 0;
    }

    private static double SquaredDistance(double[] a, double[] b) => a.Zip(b, (x, y) => (x - y) * (x - y)).Sum();
}
