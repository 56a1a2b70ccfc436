using System.Diagnostics;
using Spectral.Training;
using Spectral.Training.Adapters;
using Spectral.Training.Data;
using Spectral.Training.Models;

namespace Spectral.Bench.Cases;

/// <summary>
/// The losses of a batch whose records are for several LoRAs: all in one pass, adapter after adapter with each loaded
/// in its turn, and with a merged model for each.
/// </summary>
internal sealed class AdapterSetCase : BenchCase
{
    private const int Adapters = 8;
    private const int Rank = 16;
    private const int PerAdapter = 2; // records

    public override string Name => "several-adapters";
    public override int Target => 0;
    public override string Description =>
        "Forward pass over records for eight LoRAs, ratio to one LoRA for all; swapping and merging beside it.";

    public override IEnumerable<Plan> Plans(Machine machine)
    {
        ModelConfig small = TrainingSetup.Tiny with { HiddenSize = 256, HeadDimension = 64, IntermediateSize = 768 };
        ModelConfig config = machine.Choose(
            TrainingSetup.Llama(4, 32000),
            TrainingSetup.Llama(2, 32000),
            small with
            {
                Layers = 4,
            }
        );
        return
        [
            .. from length in machine.Choose<int[]>([1, 16, 512], [1, 512], [1, 64])
            select new Plan(
                $"{config.Layers} layers of {config.HiddenSize} r={Rank}, {Adapters} adapters x {PerAdapter} x {length}"
                    + " tokens",
                () => Prepare(machine, config, length + 1)
            ),
        ];
    }

    private static Scenario Prepare(Machine machine, ModelConfig config, int length)
    {
        var scenario = new Scenario();
        AdapterFolders folders = scenario.Own(new AdapterFolders());
        CausalLanguageModel model = scenario.Own(TrainingSetup.Model(machine, config));
        string[] names = [.. Enumerable.Range(0, Adapters).Select(i => $"{i}")];
        foreach (string name in names)
            folders.Write(model, name, Rank);
        var random = new Random(1);
        EncodedRecord[] records =
        [
            .. from name in names
            from _ in Enumerable.Range(0, PerAdapter)
            select new EncodedRecord(
                [.. Enumerable.Range(0, length).Select(_ => random.Next(config.VocabularySize))],
                1,
                1,
                Cut: false
            )
            {
                Adapter = name,
            },
        ];
        EncodedRecord[][] apart = [.. records.Chunk(PerAdapter)];
        double expected = Swapped();
        Add("one adapter for all", Role.Plain, () => Adapter.Load(model, folders.At("0")), Whole, null);
        Add("one pass", Role.Ours, Set, Whole, expected);
        Add("swapped", Role.Ours, () => null, Swapped, expected);
        Add("merged models", Role.Ours, () => null, Merged, null);
        return scenario;

        void Add(string name, Role role, Func<IDisposable?> attach, Func<double> run, double? loss) =>
            scenario.Variants.Add(
                new Variant(name, _ => { })
                {
                    Role = role,
                    MostSamples = 50,
                    LeastSamples = 20,
                    Check = () =>
                    {
                        using IDisposable? attached = attach();
                        double found = run();
                        double wanted = loss ?? expected;
                        double bound = (loss, machine.IsGpu) switch
                        {
                            (null, _) => 0.2,
                            (_, true) => 5e-3,
                            _ => 1e-5,
                        };
                        return Math.Abs(found - wanted) <= bound * wanted
                            ? null
                            : $"the loss is {found:G6}, expected {wanted:G6}";
                    },
                    Measure = samples =>
                    {
                        using IDisposable? attached = attach();
                        return Measure(machine, run, samples);
                    },
                    Figures = median => new Dictionary<string, double>
                    {
                        ["tokens_per_second"] = records.Length * (length - 1) / median * 1e6,
                    },
                }
            );

        AdapterSet Set()
        {
            AdapterSet set = new(model);
            foreach (string name in names)
                set.Add(name, folders.At(name));
            return set;
        }

        double Whole() => Evaluator.Evaluate(model, records, records.Length, exactMatch: false).Loss;

        double Swapped() =>
            apart.Average(part =>
            {
                using var adapter = Adapter.Load(model, folders.At(part[0].Adapter!));
                return Evaluator.Evaluate(model, part, part.Length, exactMatch: false).Loss;
            });

        // What models cost that are merged beforehand, and have the memory of as many bases.
        double Merged() => apart.Average(part => Evaluator.Evaluate(model, part, part.Length, exactMatch: false).Loss);
    }

    private static Samples Measure(Machine machine, Func<double> run, int samples)
    {
        double[] times = new double[samples];
        for (int i = 0; i < 3; i++)
            run();
        machine.Device.Synchronize();
        for (int i = 0; i < samples; i++)
        {
            long start = Stopwatch.GetTimestamp();
            run();
            machine.Device.Synchronize();
            times[i] = Stopwatch.GetElapsedTime(start).TotalMicroseconds;
        }
        return new Samples(times, 1, "host");
    }

    /// <summary>A folder with adapters, which is deleted at the end.</summary>
    private sealed class AdapterFolders : IDisposable
    {
        private readonly string _root = Directory.CreateTempSubdirectory("spectral-bench-").FullName;

        public string At(string name) => Path.Combine(_root, name);

        public void Write(CausalLanguageModel model, string name, int rank)
        {
            var options = new AdapterOptions
            {
                Rank = rank,
                Alpha = rank,
                Seed = ulong.Parse(name),
            };
            using var adapter = Adapter.Attach(model, AdapterMethods.Find("lora"), options);
            adapter.Save(At(name));
        }

        public void Dispose() => Directory.Delete(_root, recursive: true);
    }
}
