using Spectral.Kernels;
using Spectral.Kernels.Linalg;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;
using Spectral.Training.Data;
using Spectral.Training.Models;
using Spectral.Training.Optim;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters.Methods;

/// <summary>Methods that change their factors between steps.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class ScheduledMethodTests(DeviceKind kind) : TrainingTest(kind)
{
    private static readonly AdapterOptions Options = new()
    {
        Rank = 3,
        Alpha = 6,
        TopK = 2,
        Seed = 5,
        TargetModules = ["q_proj", "down_proj"],
    };

    private static readonly TrainerOptions Training = new()
    {
        Steps = 20,
        Batch = 4,
        LearningRate = 2e-2,
        Schedule = ScheduleKind.Constant,
        LogEvery = 0,
    };

    private EncodedRecord[] Records { get; } = TinyModels.Records(8, TinyModels.Llama, new Random(31));

    private CausalLanguageModel Model { get; set; } = null!;

    [SetUp]
    public void Load() => Model = Keep(TinyModels.Frozen(TinyModels.Llama, Device, Folder));

    [TestCase(2)]
    [TestCase(1)]
    [TestCase(0)]
    public void AdaloraKeepsWhatItsBudgetSaysAndEndsAtTheTarget(int target)
    {
        Adapter adapter = Attach("adalora", ("target-rank", target), ("begin", 0.1), ("finish", 0.3), ("interval", 3));
        List<int> kept = [];
        List<int> alive = [];
        Train(_ =>
        {
            kept.Add(
                adapter.Modules.Sum(module => module.Factors["lora_E.kept"].Master.ToArray().Count(value => value == 1))
            );
            alive.Add(
                adapter.Modules.Sum(module => module.Factors["lora_E"].Master.ToArray().Count(value => value != 0))
            );
        });
        // 4 layers of rank 3; no rank given: half of it, rounded up. Steps 3, 6, 9 and 12 prune, 14 = 20 − 6 is the
        // last to; before 3 nothing, after 14 as at 14.
        int end = 4 * (target == 0 ? 2 : target);
        for (int step = 1; step <= 20; step++)
        {
            int pruned = step >= 14 ? 14 : step / 3 * 3;
            int budget = pruned == 0 ? 12 : (int)((12 - end) * Math.Pow(1 - (pruned - 2) / 12.0, 3)) + end;
            Assert.That(kept[step - 1], Is.EqualTo(budget), $"step {step}");
            if (step >= 14)
                Assert.That(alive[step - 1], Is.EqualTo(end), "exactly the target");
        }
        Assert.That(alive[0], Is.EqualTo(12));
    }

    /// <summary>
    /// Four layers of three triplets: the one with the least even values gives up its smallest, the one with the most
    /// even takes one with e = 0; the number of all stays, and nothing happens outside of the phase.
    /// </summary>
    [Test]
    public void FlexLoraMovesATripletFromTheLeastEvenToTheMostEven()
    {
        Adapter adapter = Attach(
            "flexlora",
            ("begin", 0.1),
            ("finish", 0.3),
            ("interval", 1),
            ("exchanged", 1),
            ("most", 2)
        );
        float[][] values =
        [
            [1, 1, 1],
            [3, 2, 1],
            [1, 0.1f, 0.2f],
            [2, 2, 1],
        ];
        for (int i = 0; i < values.Length; i++)
            adapter.Modules[i].Factors["lora_E"].Master.CopyFrom([.. values[i], 0, 0, 0]);
        float[] rows = adapter.Modules[0].Factors["lora_A"].Master.ToArray();
        adapter.AfterUpdate(2, 20);
        Assert.That(Active(), Is.All.EqualTo(new float[] { 1, 1, 1, 0, 0, 0 }), "before the phase");
        adapter.AfterUpdate(15, 20);
        Assert.That(Active(), Is.All.EqualTo(new float[] { 1, 1, 1, 0, 0, 0 }), "after it");
        adapter.AfterUpdate(3, 20);
        Assert.Multiple(() =>
        {
            Assert.That(Active()[0], Is.EqualTo(new float[] { 1, 1, 1, 1, 0, 0 }));
            Assert.That(Active()[1], Is.EqualTo(new float[] { 1, 1, 1, 0, 0, 0 }));
            Assert.That(Active()[2], Is.EqualTo(new float[] { 1, 0, 1, 0, 0, 0 }));
            Assert.That(Active()[3], Is.EqualTo(new float[] { 1, 1, 1, 0, 0, 0 }));
            Assert.That(
                adapter.Modules[2].Factors["lora_E"].Master.ToArray(),
                Is.EqualTo(new float[] { 1, 0, 0.2f, 0, 0, 0 })
            );
            float[] after = adapter.Modules[0].Factors["lora_A"].Master.ToArray();
            int width = adapter.Modules[0].Shape.In;
            Assert.That(after[..(3 * width)], Is.EqualTo(rows[..(3 * width)]), "what was in use");
            Assert.That(after[(3 * width)..(4 * width)], Is.Not.EqualTo(rows[(3 * width)..(4 * width)]), "drawn anew");
            Assert.That(adapter.Modules[0].Factors["lora_E"].Master.ToArray()[3], Is.Zero);
        });

        float[][] Active() => [.. adapter.Modules.Select(module => module.Factors["flexlora_active"].Master.ToArray())];
    }

    [Test]
    public void AdaloraPrunesTheLeastImportant()
    {
        Adapter adapter = Attach(
            "adalora",
            ("target-rank", 1),
            ("begin", 0),
            ("finish", 0),
            ("beta1", 0.5),
            ("beta2", 0.25)
        );
        TestAdapters.Randomize(adapter, 3);
        adapter.Parameters.EnableGradients();
        Random random = new(4);
        var score = new Dictionary<string, double[]>();
        (Dictionary<string, double[]> mean, Dictionary<string, double[]> deviation) = (
            new Dictionary<string, double[]>(),
            new Dictionary<string, double[]>()
        );
        for (int step = 1; step <= 2; step++)
        {
            foreach (Parameter parameter in adapter.Parameters.Parameters)
            {
                float[] gradient = [.. parameter.Master.ToArray().Select(_ => (float)(random.NextDouble() - 0.5))];
                float[] values = parameter.Master.ToArray();
                parameter.Gradient!.CopyFrom(gradient);
                double[] i = mean.GetValueOrDefault(parameter.Name) ?? new double[values.Length];
                double[] u = deviation.GetValueOrDefault(parameter.Name) ?? new double[values.Length];
                for (int k = 0; k < values.Length; k++)
                {
                    double now = Math.Abs((double)values[k] * gradient[k]);
                    i[k] = 0.5 * i[k] + 0.5 * now;
                    u[k] = 0.25 * u[k] + 0.75 * Math.Abs(now - i[k]);
                }
                (mean[parameter.Name], deviation[parameter.Name]) = (i, u);
                score[parameter.Name] = [.. i.Zip(u, (a, b) => a * b)];
            }
            adapter.BeforeUpdate(step, 2);
        }
        adapter.AfterUpdate(2, 2);
        (AdaptedModule Module, int Index, double Score)[] triplets =
        [
            .. adapter.Modules.SelectMany(module =>
                Enumerable
                    .Range(0, 3)
                    .Select(i =>
                    {
                        double[] a = score[$"{module.Shape.Name}.lora_A"];
                        double[] b = score[$"{module.Shape.Name}.lora_B"];
                        return (
                            module,
                            i,
                            score[$"{module.Shape.Name}.lora_E"][i]
                                + a[(i * module.Shape.In)..((i + 1) * module.Shape.In)].Average()
                                + b.Where((_, at) => at % 3 == i).Average()
                        );
                    })
            ),
        ];
        foreach ((AdaptedModule module, int i, _) in triplets.OrderByDescending(triplet => triplet.Score).Skip(4))
            Assert.That(module.Factors["lora_E"].Master.ToArray()[i], Is.Zero, $"{module.Shape.Name} {i}");
        Assert.That(
            adapter.Modules.Sum(module => module.Factors["lora_E"].Master.ToArray().Count(value => value != 0)),
            Is.EqualTo(4)
        );
    }

    [Test]
    public void ColaFinishesRoundsWithoutChangingTheModel()
    {
        Adapter adapter = Attach("cola", ("rounds", 3));
        TestAdapters.Randomize(adapter, 3);
        AdaptedModule first = adapter.Modules[0];
        float[] before = Logits();
        float[] left = first.Factors[LoraNames.B].Master.ToArray();
        float[] right = first.Factors[LoraNames.A].Master.ToArray();
        adapter.AfterUpdate(6, 20);
        Assert.That(first.Factors[LoraNames.B].Master.ToArray(), Is.EqualTo(left), "20 · 1/3 steps are not over");
        adapter.AfterUpdate(7, 20);
        Assert.That(Logits(), Is.EqualTo(before).Within(1e-4f * before.Max(Math.Abs)));
        Assert.That(first.Factors[LoraNames.B].Master.ToArray(), Is.All.Zero);
        float[] second = first.Factors[LoraNames.A].Master.ToArray();
        float[] finished = first.Factors["cola_A"].Master.ToArray();
        Assert.That(second, Is.Not.EqualTo(right).And.Not.All.Zero);
        Assert.That(finished[..right.Length], Is.EqualTo(right));
        Assert.That(finished[right.Length..], Is.All.Zero);
        adapter.AfterUpdate(14, 20);
        Assert.That(first.Factors["cola_A"].Master.ToArray()[right.Length..], Is.EqualTo(second));
        Assert.That(first.Factors[LoraNames.A].Master.ToArray(), Is.Not.EqualTo(second));
        float[] third = first.Factors[LoraNames.A].Master.ToArray();
        adapter.AfterUpdate(20, 20);
        Assert.That(first.Factors[LoraNames.A].Master.ToArray(), Is.EqualTo(third), "the last round stays as it is");
    }

    [Test]
    public void ColaForgetsTheMomentsAtEachRound()
    {
        Adapter adapter = Attach("cola", ("rounds", 2));
        var steps = new List<long>();
        Train(_ => steps.Add(adapter.Parameters.StepState.Read().Steps));
        Assert.That(steps, Is.EqualTo(Enumerable.Range(1, 20).Select(step => step < 10 ? step : step - 10L)));
        Assert.That(adapter.Modules[0].Factors["cola_B"].Master.ToArray(), Is.Not.All.Zero);
        adapter.Detach();
        Assert.That(Attach("cola", ("rounds", 1)).Modules[0].Form.Terms, Has.Count.EqualTo(1));
    }

    [Test]
    public void LoraDashFindsTheDirectionsThatChangeMost()
    {
        Adapter adapter = Attach("lora-dash", ("warmup", 4));
        TestAdapters.Randomize(adapter, 3);
        adapter.AfterUpdate(3, 20);
        float[][] leading = [.. adapter.Modules.Select(module => module.Factors["dash_U"].Master.ToArray())];
        adapter.AfterUpdate(4, 20);
        for (int m = 0; m < leading.Length; m++)
        {
            AdaptedModule module = adapter.Modules[m];
            (int rows, int columns, int all) = (
                module.Shape.Out,
                module.Shape.In,
                Math.Min(module.Shape.Out, module.Shape.In)
            );
            float[] b = module.Factors[LoraNames.B].Master.ToArray();
            float[] a = module.Factors[LoraNames.A].Master.ToArray();
            using Tensor weight = module.Core.CopyWeight();
            using SvdResult svd = Svd.Compute(weight, all, SvdMethod.Exact);
            (float[] u, float[] s, float[] v) = (svd.U.ToArray(), svd.S.ToArray(), svd.Vt.ToArray());
            int[] best =
            [
                .. Enumerable
                    .Range(0, all)
                    .OrderByDescending(i =>
                    {
                        double sum = 0;
                        for (int r = 0; r < rows; r++)
                        {
                            for (int c = 0; c < columns; c++)
                            {
                                sum +=
                                    u[r * all + i]
                                    * Enumerable.Range(0, 3).Sum(p => (double)b[r * 3 + p] * a[p * columns + c])
                                    * v[i * columns + c];
                            }
                        }
                        return Math.Abs(sum) / s[i];
                    })
                    .Take(2),
            ];
            (float[] foundU, float[] foundV) = (
                module.Factors["dash_U"].Master.ToArray(),
                module.Factors["dash_V"].Master.ToArray()
            );
            for (int i = 0; i < 2; i++)
            {
                Assert.That(
                    Enumerable.Range(0, rows).Select(r => foundU[r * 2 + i]),
                    Is.EqualTo(Enumerable.Range(0, rows).Select(r => u[r * all + best[i]]))
                );
                Assert.That(
                    foundV[(i * columns)..((i + 1) * columns)],
                    Is.EqualTo(v[(best[i] * columns)..((best[i] + 1) * columns)])
                );
            }
        }
        Assert.That(
            adapter.Modules.Select(module => module.Factors["dash_U"].Master.ToArray()),
            Is.Not.EqualTo(leading)
        );
    }

    [TestCase(4, 4)]
    [TestCase(100, 10)]
    public void LoraDashTrainsStrengthsAfterItsWarmup(int warmup, int chosen)
    {
        Adapter adapter = Attach("lora-dash", ("warmup", warmup));
        Train(report =>
            Assert.That(
                adapter.Modules[0].Factors["dash_delta"].Master.ToArray(),
                report.Step <= chosen ? Is.All.Zero : Is.All.Not.Zero,
                $"step {report.Step}"
            )
        );
    }

    [Test]
    public void DyloraTrainsOneRankAtATimeAndLeavesAllInUse()
    {
        Adapter adapter = Attach("dylora");
        Assert.That(Weights(adapter), Is.All.EqualTo(2f), "alpha 6 over rank 3");
        var drawn = new HashSet<int>();
        Train(report =>
        {
            float[] weights = Weights(adapter);
            int k = weights.Count(value => value != 0);
            Assert.That(
                weights,
                Is.EqualTo(Enumerable.Range(0, 3).Select(i => i < k ? 6f / k : 0)),
                $"step {report.Step}"
            );
            if (report.Step < 20)
                drawn.Add(k);
            else
                Assert.That(k, Is.EqualTo(3));
        });
        Assert.That(drawn, Is.EquivalentTo(new[] { 1, 2, 3 }));

        static float[] Weights(Adapter adapter) => adapter.Modules[0].Factors["dylora_weights"].Master.ToArray();
    }

    [Test]
    public void TriadaptGrowsWhereGradientsExceedTheThreshold()
    {
        Adapter adapter = Attach("triadapt", ("begin-rank", 1), ("interval", 4), ("growing", 0.8), ("low", 0.2));
        TestAdapters.Randomize(adapter, 3);
        adapter.Parameters.EnableGradients();
        Random random = new(4);
        int[] ranks = [.. adapter.Modules.Select(_ => 1)];
        bool grewAll = true;
        for (int step = 1; step <= 20; step++)
        {
            double[] importance = new double[ranks.Length];
            for (int m = 0; m < ranks.Length; m++)
            {
                AdaptedModule module = adapter.Modules[m];
                double squares = 0;
                foreach (string name in (string[])[LoraNames.A, LoraNames.B])
                {
                    Parameter parameter = module.Factors[name];
                    float[] gradient =
                    [
                        .. parameter.Master.ToArray().Select(_ => (float)random.NextDouble() * (m + 1)),
                    ];
                    parameter.Gradient!.CopyFrom(gradient);
                    squares += gradient.Sum(value => (double)value * value);
                }
                importance[m] = Math.Sqrt(squares / (ranks[m] * (module.Shape.Out + module.Shape.In)));
            }
            // The line from 0.2 at the beginning to 1.5 at step 16.
            double threshold = (0.2 + (1.3 * step / 16)) * importance.Average();
            adapter.BeforeUpdate(step, 20);
            // A column of B that is not active has not moved from zero.
            foreach ((AdaptedModule module, int rank) in adapter.Modules.Zip(ranks))
                ClearInactive(module.Factors[LoraNames.B], rank);
            adapter.Parameters.NotifyChanged();
            float[] before = Logits();
            adapter.AfterUpdate(step, 20);
            if (step % 4 == 0 && step <= 16)
            {
                for (int m = 0; m < ranks.Length; m++)
                {
                    bool grows = importance[m] > threshold && ranks[m] < 3;
                    ranks[m] += grows ? 1 : 0;
                    grewAll &= grows;
                }
            }
            Assert.That(Active(), Is.EqualTo(ranks), $"step {step}");
            Assert.That(Logits(), Is.EqualTo(before).Within(1e-6f), "growing keeps the model");
        }
        Assert.That(ranks.Max(), Is.GreaterThan(1));
        Assert.That(grewAll, Is.False, "some stay where they are");

        int[] Active() =>
            [.. adapter.Modules.Select(module => (int)module.Factors["triadapt_active"].Master.ToArray().Sum())];

        static void ClearInactive(Parameter left, int rank)
        {
            float[] values = left.Master.ToArray();
            left.Master.CopyFrom([.. values.Select((value, i) => i % 3 < rank ? value : 0)]);
        }
    }

    [Test]
    public void TriadaptTrainsActiveDirectionsAlone()
    {
        Adapter adapter = Attach("triadapt", ("begin-rank", 2), ("growing", 0));
        Train(_ => { });
        foreach (AdaptedModule module in adapter.Modules)
        {
            float[] left = module.Factors[LoraNames.B].Master.ToArray();
            for (int i = 0; i < left.Length; i++)
            {
                (int row, int column) = (i / 3, i % 3);
                bool trains = column < 2 && row >= column;
                Assert.That(left[i] != 0, Is.EqualTo(trains), $"{module.Shape.Name} {row}, {column}");
            }
        }
    }

    [TestCase("adalora")]
    [TestCase("flexlora")]
    [TestCase("cola")]
    [TestCase("lora-dash")]
    [TestCase("dylora")]
    [TestCase("triadapt")]
    public void TheSameRunGivesTheSameBits(string method)
    {
        float[] Run()
        {
            using var adapter = Adapter.Attach(Model, AdapterMethods.Find(method), Options);
            Train(_ => { });
            return [.. adapter.Parameters.Masters.SelectMany(master => master.ToArray())];
        }
        Assert.That(Run(), Is.EqualTo(Run()));
    }

    private static AdapterOptions With(params (string Name, double Value)[] settings) =>
        Options with
        {
            Settings = settings.ToDictionary(setting => setting.Name, setting => setting.Value),
        };

    private Adapter Attach(string method, params (string Name, double Value)[] settings) =>
        Keep(Adapter.Attach(Model, AdapterMethods.Find(method), With(settings)));

    private void Train(Action<StepReport> afterStep)
    {
        using Trainer trainer = new(Model, Training);
        trainer.Run(Records, callbacks: [new Watcher(afterStep)]);
    }

    private float[] Logits() => Losses.Logits(Model, Batch.Create(Records, 0));

    private sealed class Watcher(Action<StepReport> afterStep) : ITrainerCallback
    {
        public void OnStep(StepReport report) => afterStep(report);
    }
}
