using System.Text.Json.Nodes;
using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Autograd;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Logs;
using Spectral.Training.Models;
using Spectral.Training.Optim;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters.Methods;

/// <summary>Adapters whose change differs from token to token: which tokens, and what routers do.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class TokenChangeTests(DeviceKind kind) : TrainingTest(kind)
{
    private static readonly string[] Routed =
    [
        "alora",
        "loreft",
        "mola",
        "milora-mixture",
        "ept",
        "queryable-lora",
        "lily",
    ];

    private static readonly ModelConfig Config = TinyModels.Llama;

    private static readonly AdapterOptions Options = new()
    {
        Rank = 2,
        Alpha = 3,
        Seed = 5,
        InvocationTokens = [7, 2],
        TargetModules = ["q_proj", "v_proj", "down_proj"],
    };

    private static readonly int[] Tokens = [4, 7, 2, 9, 1, 7, 2, 5, 3, 8];

    /// <summary>
    /// Decoding with a cache gives what the whole text gives, where each token depends on those before it alone. Lily's
    /// means are over later tokens too, and so are those of the texts here.
    /// </summary>
    [TestCase("alora")]
    [TestCase("loreft")]
    [TestCase("mola")]
    [TestCase("milora-mixture")]
    [TestCase("ept")]
    [TestCase("queryable-lora")]
    public void TokensThatAreGeneratedGetWhatTheWholeTextGives(string name)
    {
        using CausalLanguageModel model = TinyModels.Frozen(Config, Device, Folder);
        using Adapter adapter = Attach(model, name);
        TestAdapters.Perturb(adapter, 3);
        const int Prompt = 8;
        var record = new EncodedRecord(Tokens, Prompt, Prompt, false) { HasCompletion = true };
        using BatchTensors whole = new(Device, Batch.Create([record, Short]));
        using var last = Tensor.From(Device, [Prompt - 1, Prompt, Prompt + 1], 3);
        float[] expected = Logits(model, whole, last);

        using KeyValueCache cache = new(model, 2, Tokens.Length);
        List<float> actual = [.. Next(model, [Tokens[..Prompt], Short.Tokens[..3]], cache, Prompt - 1)];
        cache.Shorten([0, Prompt - 3]);
        for (int at = Prompt; at < Tokens.Length; at++)
        {
            actual.AddRange(
                Next(
                    model,
                    [
                        [Tokens[at]],
                        [Short.Tokens[at - Prompt + 3]],
                    ],
                    cache,
                    0
                )
            );
        }

        Assert.That(actual, Is.EqualTo(expected).Within(1e-4f * expected.Max(Math.Abs)));
    }

    [Test]
    public void BeforeItsInvocationAnActivatedAdapterLeavesTheBitsOfTheBase()
    {
        using CausalLanguageModel model = TinyModels.Frozen(Config, Device, Folder);
        float[] before = States(model);
        using Adapter adapter = Attach(model, "alora");
        TestAdapters.Perturb(adapter, 3);
        float[] after = States(model);
        const int From = 5; // the last of two invocations
        int width = Config.HiddenSize;
        Assert.Multiple(() =>
        {
            Assert.That(after[..(From * width)], Is.EqualTo(before[..(From * width)]), "of the first record");
            for (int at = From; at < Tokens.Length; at++)
            {
                Assert.That(
                    after[(at * width)..((at + 1) * width)],
                    Is.Not.EqualTo(before[(at * width)..((at + 1) * width)]).Within(1e-4f),
                    $"token {at}"
                );
            }
            Assert.That(
                after[(Tokens.Length * width)..],
                Is.EqualTo(before[(Tokens.Length * width)..]),
                "a record without the tokens"
            );
        });
    }

    [Test]
    public void ALoReftKeepsOrthonormalRows()
    {
        using CausalLanguageModel model = TinyModels.Frozen(Config, Device, Folder);
        using Adapter adapter = Attach(model, "loreft");
        using Trainer trainer = new(
            model,
            new TrainerOptions
            {
                Steps = 4,
                Batch = 4,
                LearningRate = 0.1,
                LogEvery = 0,
            }
        );
        trainer.Run(TinyModels.Records(8, Config, new Random(7)));
        foreach (AdaptedModule module in adapter.Modules)
        {
            float[] rows = module.Factors["reft_R"].Master.ToArray();
            int width = module.Shape.Out;
            for (int i = 0; i < 2; i++)
            {
                for (int j = 0; j < 2; j++)
                {
                    double dot = Enumerable
                        .Range(0, width)
                        .Sum(k => (double)rows[(i * width) + k] * rows[(j * width) + k]);
                    Assert.That(dot, Is.EqualTo(i == j ? 1 : 0).Within(1e-5), module.Shape.Name);
                }
            }
        }
    }

    /// <summary>
    /// The gradient that balancing adds to a router is that of E Σ f_e P_e by differences, the shares f_e constant,
    /// once for each token with loss.
    /// </summary>
    [Test]
    public void TheBalanceHasTheGradientOfItsFormula()
    {
        using CausalLanguageModel model = TinyModels.Frozen(Config with { Layers = 1 }, Device, Folder);
        const double Coefficient = 0.3;
        Dictionary<string, double> settings = new() { ["experts"] = 4, ["lowest-experts"] = 4 };
        var data = Batch.Create(TinyModels.Records(4, Config, new Random(7)));
        float[] plain = RouterGradient(model, data, With(0), out double[] router);
        float[] balanced = RouterGradient(model, data, With(Coefficient), out _);

        List<double[]> inputs = [];
        Dictionary<string, double[]> weights = TestAdapters.Weights(Folder.Path);
        new ReferenceModel(model.Config, weights)
        {
            Observe = (layer, x) =>
            {
                if (layer.EndsWith("q_proj", StringComparison.Ordinal))
                    inputs.Add([.. x]);
            },
        }.LossSum(data);
        double[][] real = [.. inputs.Where((_, i) => data.RecordLengths[i] > 0)];
        double[] shares = new double[4];
        foreach (double[] x in real)
        {
            double[] logits = Product(router, x);
            foreach (int e in Enumerable.Range(0, 4).OrderByDescending(e => logits[e]).Take(2))
                shares[e] += 0.5 / real.Length;
        }
        double[] expected = CentralDifferences.Of(
            router,
            1e-5,
            () =>
            {
                double sum = 0;
                foreach (double[] x in real)
                {
                    double[] logits = Product(router, x);
                    double total = logits.Sum(Math.Exp);
                    for (int e = 0; e < 4; e++)
                        sum += 4 * shares[e] * Math.Exp(logits[e]) / total / real.Length;
                }
                return Coefficient * data.LossTokens * sum;
            }
        );
        float[] added = [.. balanced.Zip(plain, (with, without) => with - without)];
        Assert.That(expected.Max(Math.Abs), Is.GreaterThan(1e-3));
        Assert.That(added, Is.EqualTo(expected).Within(1e-4 * expected.Max(Math.Abs)));

        AdapterOptions With(double balance) =>
            Options with
            {
                TargetModules = ["q_proj"],
                Settings = new Dictionary<string, double>(settings) { ["balance"] = balance },
            };
    }

    /// <summary>A router that always chooses the same is told from one that shares out.</summary>
    [Test]
    public void TheLogHasTheLoadOfTheRouters()
    {
        using CausalLanguageModel model = TinyModels.Frozen(Config, Device, Folder);
        using Adapter adapter = Attach(
            model,
            "mola",
            Options with
            {
                Settings = new Dictionary<string, double>
                {
                    ["experts"] = 4,
                    ["lowest-experts"] = 4,
                    ["experts-per-token"] = 1,
                },
            }
        );
        // Equal logits: the first expert is taken, and all are equally probable.
        foreach (AdaptedModule module in adapter.Modules)
            module.Factors["mola_router"].Master.Clear();
        adapter.Parameters.NotifyChanged();
        string log = Path.Combine(Folder.Path, "log.jsonl");
        string table = Path.Combine(Folder.Path, "log.csv");
        RouterReport? first = null;
        using (TrainingLog lines = new(log))
        using (CsvLog csv = new(table, hasRouters: true))
        using (
            Trainer trainer = new(
                model,
                new TrainerOptions
                {
                    Steps = 1,
                    Batch = 4,
                    LogEvery = 0,
                    ActivationCheckpointing = true,
                }
            )
        )
        {
            trainer.Run(TinyModels.Records(4, Config, new Random(7)), null, [lines, csv, new Noted(r => first = r)]);
        }
        JsonNode line = JsonNode.Parse(File.ReadLines(log).First())!;
        string[] head = File.ReadLines(table).First().Split(',');
        string[] values = File.ReadLines(table).ElementAt(1).Split(',');
        Assert.Multiple(() =>
        {
            Assert.That(first!.Loss, Is.EqualTo(1).Within(1e-6), "4 · 1 · 1/4");
            Assert.That(first.Largest, Is.EqualTo(4).Within(1e-6), "one of four gets all");
            Assert.That(first.Smallest, Is.Zero);
            Assert.That((double)line["router_load_max"]!, Is.EqualTo(first.Largest));
            Assert.That(values[Array.IndexOf(head, "router_loss")], Is.EqualTo($"{first.Loss:R}"));
        });
    }

    [TestCaseSource(nameof(Routed))]
    public void CheckpointingGivesTheSameGradients(string name)
    {
        using CausalLanguageModel model = TinyModels.Frozen(Config, Device, Folder);
        using Adapter adapter = Attach(model, name, Options with { Dropout = name is "loreft" or "lily" ? 0 : 0.3 });
        TestAdapters.Perturb(adapter, 3);
        adapter.Parameters.EnableGradients();
        var data = Batch.Create(TinyModels.Records(4, Config, new Random(7)));
        float[] kept = Gradients(checkpoint: false);
        Assert.That(Gradients(checkpoint: true), Is.EqualTo(kept));

        float[] Gradients(bool checkpoint)
        {
            foreach (Parameter parameter in adapter.Parameters.Parameters)
                parameter.Gradient!.Clear();
            using BatchTensors tensors = new(Device, data);
            using Tape tape = new(Device, dropout: adapter.Parameters.StepState);
            using Tensor loss = model.Loss(tape, tensors, 1, checkpoint);
            tape.Backward();
            return [.. adapter.Parameters.Parameters.SelectMany(parameter => parameter.Gradient!.ToArray())];
        }
    }

    /// <summary>
    /// Along the gradient the loss rises by the gradient's length, by differences of losses with the same mask.
    /// </summary>
    [TestCaseSource(nameof(Routed))]
    public void WithDropoutTheGradientIsThatOfTheLossWithItsMask(string name)
    {
        using CausalLanguageModel model = TinyModels.Frozen(Config, Device, Folder);
        using Adapter adapter = Attach(
            model,
            name,
            Options with
            {
                Dropout = name is "loreft" or "lily" ? 0 : 0.4,
                InvocationTokens = TinyModels.Records(4, Config, new Random(7))[1].Tokens[..1],
                Settings = AdapterMethods.Find(name).Settings.Any(setting => setting.Name == "balance")
                    ? new Dictionary<string, double> { ["balance"] = 0 }
                    : [],
            }
        );
        TestAdapters.Perturb(adapter, 3);
        adapter.Parameters.EnableGradients();
        var data = Batch.Create(TinyModels.Records(4, Config, new Random(7)));
        Loss(backward: true);
        float[][] gradients = [.. adapter.Parameters.Parameters.Select(parameter => parameter.Gradient!.ToArray())];
        float[][] values = [.. adapter.Parameters.Parameters.Select(parameter => parameter.Master.ToArray())];
        double length = Math.Sqrt(gradients.Sum(gradient => gradient.Sum(value => (double)value * value)));
        const double Step = 1e-2;
        double slope = (Moved(Step) - Moved(-Step)) / (2 * Step);
        Assert.That(slope, Is.EqualTo(length).Within(1).Percent);

        double Moved(double by)
        {
            for (int i = 0; i < values.Length; i++)
            {
                float[] gradient = gradients[i];
                adapter
                    .Parameters.Parameters[i]
                    .Master.CopyFrom([
                        .. values[i].Select((value, at) => (float)(value + (by * gradient[at] / length))),
                    ]);
            }

            adapter.Parameters.NotifyChanged();
            return Loss(backward: false);
        }

        double Loss(bool backward)
        {
            using BatchTensors tensors = new(Device, data);
            using Tape tape = new(Device, records: backward, adapter.Parameters.StepState);
            using Tensor loss = model.Loss(tape, tensors, 1);
            if (backward)
                tape.Backward();
            return loss.ToArray()[0];
        }
    }

    /// <summary>Records of one row are what they are in rows of their own.</summary>
    [TestCaseSource(nameof(Routed))]
    public void PackedRecordsDoNotMix(string name)
    {
        using CausalLanguageModel model = TinyModels.Frozen(Config, Device, Folder);
        using Adapter adapter = Attach(model, name);
        TestAdapters.Perturb(adapter, 3);
        EncodedRecord[] records = TinyModels.Records(4, Config, new Random(7));
        double apart = records.Sum(record => Losses.Of(model, Batch.Create([record])));
        double together = Losses.Of(model, Batch.Create(records));
        double packed = Losses.Of(
            model,
            Batch.Pack([
                [records[0], records[1]],
                [records[2], records[3]],
            ])
        );
        Assert.Multiple(() =>
        {
            Assert.That(together, Is.EqualTo(apart).Within(1e-5 * apart), "padded");
            Assert.That(packed, Is.EqualTo(apart).Within(1e-5 * apart), "packed");
        });
    }

    /// <summary>PEFT's names and keys (tuners/lora and tuners/lily of 0.20.1.dev).</summary>
    [Test]
    public void FilesAreThoseOfPeft()
    {
        using CausalLanguageModel model = TinyModels.Frozen(Config, Device, Folder);
        using (Adapter adapter = Attach(model, "alora"))
        {
            JsonNode config = Saved(adapter, out IReadOnlyDictionary<string, IReadOnlyList<long>> tensors);
            Assert.Multiple(() =>
            {
                Assert.That((string?)config["peft_type"], Is.EqualTo("LORA"));
                Assert.That(config["alora_invocation_tokens"]!.AsArray().Select(id => (int)id!), Is.EqualTo([7, 2]));
                Assert.That(tensors[$"{Layer}.q_proj.lora_A.weight"], Is.EqualTo([2L, 12]));
                Assert.That(tensors[$"{Layer}.q_proj.lora_B.weight"], Is.EqualTo([16L, 2]));
            });
        }
        using (Adapter adapter = Attach(model, "lily"))
        {
            JsonNode config = Saved(adapter, out IReadOnlyDictionary<string, IReadOnlyList<long>> tensors);
            Assert.Multiple(() =>
            {
                Assert.That((string?)config["peft_type"], Is.EqualTo("LILY"));
                Assert.That((int)config["r"]!, Is.EqualTo(2));
                Assert.That((int)config["stride_A"]!, Is.EqualTo(1));
                Assert.That((int)config["num_B"]!, Is.EqualTo(2));
                Assert.That((double)config["scaling"]!, Is.EqualTo(1));
                Assert.That(tensors[$"{Layer}.q_proj.lily_A.weight"], Is.EqualTo([2L, 12]));
                Assert.That(tensors[$"{Layer}.q_proj.lily_B.weight"], Is.EqualTo([4L, 16]));
                Assert.That(tensors[$"{Layer}.q_proj.lily_router.weight"], Is.EqualTo([2L, 2]));
            });
        }
    }

    /// <summary>A folder as PEFT writes it, with defaults spelled out, is an activated adapter and no other.</summary>
    [Test]
    public void AConfigOfPeftIsReadAsActivated()
    {
        using CausalLanguageModel model = TinyModels.Frozen(Config, Device, Folder);
        string directory;
        using (Adapter adapter = Attach(model, "alora"))
        {
            Saved(adapter, out _);
            directory = Path.Combine(Folder.Path, "alora");
        }
        string path = Path.Combine(directory, "adapter_config.json");
        JsonNode config = JsonNode.Parse(File.ReadAllText(path))!;
        config["use_dora"] = false;
        config["arrow_config"] = null;
        config["lora_bias"] = false;
        File.WriteAllText(path, config.ToJsonString());
        // PEFT's files have no metadata of ours.
        string weights = Path.Combine(directory, "adapter_model.safetensors");
        TensorToWrite[] tensors;
        using (var file = SafetensorsFile.Open(weights))
        {
            tensors =
            [
                .. file
                    .Tensors.Values.Select(tensor => (tensor.Name, tensor.Shape, Values: tensor.ToFloats()))
                    .ToArray()
                    .Select(tensor =>
                        TensorToWrite.Floats(tensor.Name, StoredType.F32, [.. tensor.Shape], () => tensor.Values)
                    ),
            ];
        }
        SafetensorsWriter.Write(weights, tensors, new Dictionary<string, string> { ["format"] = "pt" });
        using var loaded = Adapter.Load(model, directory);
        Assert.Multiple(() =>
        {
            Assert.That(loaded.Method.Name, Is.EqualTo("alora"));
            Assert.That(loaded.Options.InvocationTokens, Is.EqualTo([7, 2]));
        });
    }

    [TestCaseSource(nameof(Routed))]
    public void OnlyLayersOfTheBlocksCanFollowTokens(string name)
    {
        using CausalLanguageModel model = TinyModels.Frozen(Config, Device, Folder);
        Assert.That(
            () => Attach(model, name, Options with { TargetModules = ["lm_head"] }),
            Throws
                .TypeOf<InputException>()
                .With.Message.Contains("lm_head")
                .And.Message.Contains("layers of the blocks")
        );
    }

    [Test]
    public void AnActivatedAdapterNeedsItsInvocation()
    {
        using CausalLanguageModel model = TinyModels.Frozen(Config, Device, Folder);
        Assert.That(
            () => Attach(model, "alora", Options with { InvocationTokens = [] }),
            Throws.TypeOf<InputException>().With.Message.Contains("expected --invocation TEXT")
        );
    }

    private static EncodedRecord Short { get; } = new([6, 1, 11, 2, 4], 3, 3, false) { HasCompletion = true };

    private static string Layer => "base_model.model.model.layers.0.self_attn";

    private static Adapter Attach(CausalLanguageModel model, string name, AdapterOptions? options = null) =>
        Adapter.Attach(model, AdapterMethods.Find(name), options ?? Options);

    private static float[] Logits(CausalLanguageModel model, BatchTensors batch, Tensor rows)
    {
        using Tensor logits = model.Logits(batch, rows);
        return logits.ToArray();
    }

    private float[] Next(CausalLanguageModel model, int[][] rows, KeyValueCache cache, int at)
    {
        using BatchTensors batch = new(Device, Batch.Of(rows, [null, null]));
        using var place = Tensor.From(Device, [at], 1);
        using Tensor logits = model.Logits(batch, place, cache);
        return logits.ToArray();
    }

    private float[] States(CausalLanguageModel model)
    {
        using BatchTensors batch = new(Device, Batch.Of([Tokens, Short.Tokens], [null, null]));
        using var all = Tensor.From(Device, [.. Enumerable.Range(0, 2 * Tokens.Length)], 2 * Tokens.Length);
        return model.States(batch, all);
    }

    private float[] RouterGradient(CausalLanguageModel model, Batch data, AdapterOptions options, out double[] router)
    {
        using Adapter adapter = Attach(model, "mola", options);
        adapter.Parameters.EnableGradients();
        Losses.WithGradients(model, data);
        Parameter found = adapter.Modules[0].Factors["mola_router"];
        router = Array.ConvertAll(found.Master.ToArray(), value => (double)value);
        return found.Gradient!.ToArray();
    }

    private JsonNode Saved(Adapter adapter, out IReadOnlyDictionary<string, IReadOnlyList<long>> tensors)
    {
        string directory = Path.Combine(Folder.Path, adapter.Method.Name);
        Directory.CreateDirectory(directory);
        adapter.Save(directory);
        using var file = SafetensorsFile.Open(Path.Combine(directory, "adapter_model.safetensors"));
        tensors = file.Tensors.Values.ToDictionary(tensor => tensor.Name, tensor => tensor.Shape);
        return JsonNode.Parse(File.ReadAllText(Path.Combine(directory, "adapter_config.json")))!;
    }

    private static double[] Product(double[] matrix, double[] x) =>
        [.. matrix.Chunk(x.Length).Select(row => row.Zip(x, (a, b) => a * b).Sum())];

    private sealed class Noted(Action<RouterReport?> note) : ITrainerCallback
    {
        public void OnStep(StepReport report) => note(report.Routers);
    }
}
