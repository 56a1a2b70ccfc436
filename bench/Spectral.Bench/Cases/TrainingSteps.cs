using System.Diagnostics;
using Spectral.Kernels;
using Spectral.Kernels.Linalg;
using Spectral.Training;
using Spectral.Training.Adapters;
using Spectral.Training.Calibration;
using Spectral.Training.Data;
using Spectral.Training.Models;

namespace Spectral.Bench.Cases;

/// <summary>An adapter on all projections of a model and one batch: what a training step is timed on.</summary>
internal sealed class TrainingSetup : IDisposable
{
    private readonly Adapter? _adapter;
    private readonly Trainer? _trainer;
    private readonly Batch _batch;
    private int _step;

    /// <summary>
    /// Attaches the adapter; the model stays the caller's, who may attach another once this one is disposed.
    /// </summary>
    public TrainingSetup(
        CausalLanguageModel model,
        AdapterMethod method,
        int rank,
        int rows,
        int length,
        TrainerOptions options
    )
    {
        try
        {
            var random = new Random(1);
            EncodedRecord[] records =
            [
                .. Enumerable
                    .Range(0, rows)
                    .Select(_ => new EncodedRecord(
                        [.. Enumerable.Range(0, length).Select(_ => random.Next(model.Config.VocabularySize))],
                        1,
                        1,
                        Cut: false
                    )),
            ];
            _batch = Batch.Create(records);
            var adapter = new AdapterOptions
            {
                Rank = rank,
                TopK = rank,
                Svd = SvdMethod.Randomized,
                // Two that hardly occur again, so that an activated adapter acts on the whole record.
                InvocationTokens = records[0].Tokens[..2],
            };
            _adapter = Adapter.Attach(model, method, adapter, new ModelCalibration(model, records));
            _trainer = new Trainer(model, options);
        }
        catch
        {
            Dispose(); // what does not fit must not stay in the way of the next
            throw;
        }
        Uniform = Math.Log(model.Config.VocabularySize);
    }

    /// <summary>A model with random frozen weights.</summary>
    public static CausalLanguageModel Model(Machine machine, ModelConfig config) =>
        CausalLanguageModel.Initialize(
            config,
            machine.Device,
            machine.IsGpu ? DType.BF16 : DType.F32,
            seed: 1,
            trainWeights: false
        );

    /// <summary>Tokens of one step.</summary>
    public int Tokens => _batch.TokenCount;

    public long Trainable => _adapter!.TrainableCount;

    /// <summary>The loss of a model that has no idea.</summary>
    private double Uniform { get; }

    public double Step(double learningRate = 1e-3) => _trainer!.Step(++_step, [_batch], learningRate).Loss;

    /// <summary>What is wrong, or null; what is wrong lets go of the model.</summary>
    public string? Check()
    {
        string? complaint = "";
        try
        {
            return complaint = Learns();
        }
        finally
        {
            if (complaint is not null)
                Dispose();
        }
    }

    /// <summary>Random weights know nothing, and a few steps on one batch learn something of it.</summary>
    private string? Learns()
    {
        double first = Step();
        if (!(Math.Abs(first - Uniform) < 0.1 * Uniform))
            return $"the first loss is {first:G4}, expected about {Uniform:G4}";
        double last = first;
        // Where few parameters train, a rate that suits LoRA may move the weights by less than BF16 can hold.
        foreach (double rate in new[] { 1e-3, 1e-2 })
        {
            for (int i = 0; i < 3; i++)
                Step(rate);
            if ((last = Step(rate)) < first)
                return null;
        }
        return $"the loss went from {first:G6} to {last:G6} in eight steps";
    }

    /// <summary>Host time of whole steps; managed bytes of all threads are counted along.</summary>
    public Samples Measure(Machine machine, int samples, out double managedBytes)
    {
        double[] times = new double[samples];
        for (int i = 0; i < 3; i++)
            Step();
        machine.Device.Synchronize();
        long before = GC.GetTotalAllocatedBytes(precise: true);
        for (int i = 0; i < samples; i++)
        {
            long start = Stopwatch.GetTimestamp();
            Step();
            machine.Device.Synchronize();
            times[i] = Stopwatch.GetElapsedTime(start).TotalMicroseconds;
        }
        managedBytes = (GC.GetTotalAllocatedBytes(precise: true) - before) / (double)samples;
        return new Samples(times, 1, "host");
    }

    public void Dispose()
    {
        _trainer?.Dispose();
        _adapter?.Dispose();
    }

    /// <summary>Sizes of an 8B Llama with this many layers.</summary>
    public static ModelConfig Llama(int layers, int vocabulary) =>
        new()
        {
            ModelType = "llama",
            VocabularySize = vocabulary,
            HiddenSize = 4096,
            IntermediateSize = 14336,
            Layers = layers,
            Heads = 32,
            KeyValueHeads = 8,
            HeadDimension = 128,
            MaxPositions = 8192,
            RopeTheta = 500000,
            RmsNormEpsilon = 1e-5,
        };

    public static ModelConfig Tiny { get; } =
        new()
        {
            ModelType = "llama",
            VocabularySize = 64,
            HiddenSize = 32,
            IntermediateSize = 48,
            Layers = 2,
            Heads = 4,
            KeyValueHeads = 2,
            HeadDimension = 8,
        };
}

/// <summary>
/// The optimizer step of every adapter method on two layers of 8B size, held against LoRA's; bytes allocated per step
/// with it.
/// </summary>
internal sealed class MethodCase : BenchCase
{
    private const string Reference = "lora";

    public override string Name => "methods";
    public override int Target => 11;
    public override string Description =>
        "Training step of every adapter method, ratio to LoRA's; managed bytes per step.";

    public override IEnumerable<Plan> Plans(Machine machine)
    {
        (ModelConfig config, int rank, int rows, int length) = machine.Choose(
            (TrainingSetup.Llama(2, 32000), 16, 1, 4096),
            (TrainingSetup.Llama(1, 32000), 16, 1, 2048),
            (TrainingSetup.Tiny, 4, 2, 12)
        );
        return
        [
            new Plan(
                $"{config.Layers} layers of {config.HiddenSize} r={rank} {rows} x {length} tokens",
                () => Prepare(machine, config, rank, rows, length)
            ),
        ];
    }

    private static Scenario Prepare(Machine machine, ModelConfig config, int rank, int rows, int length)
    {
        var scenario = new Scenario();
        CausalLanguageModel model = scenario.Own(TrainingSetup.Model(machine, config));
        foreach (AdapterMethod method in AdapterMethods.All.Where(method => !method.RequantizesBase))
        {
            // A model has one adapter at a time: the check attaches it and the measurement takes it off.
            TrainingSetup? setup = null;
            double bytes = double.NaN;
            double trainable = double.NaN;
            scenario.Variants.Add(
                new Variant(method.Name, _ => { })
                {
                    Role = method.Name == Reference ? Role.Plain : Role.Ours,
                    MostSamples = 20,
                    Check = () =>
                    {
                        // So long a run that the steps measured are ordinary ones of methods that follow a schedule.
                        setup = new TrainingSetup(
                            model,
                            method,
                            rank,
                            rows,
                            length,
                            new TrainerOptions { Steps = 1000 }
                        );
                        return setup.Check();
                    },
                    Measure = samples =>
                    {
                        using TrainingSetup measured = setup!;
                        trainable = measured.Trainable;
                        return measured.Measure(machine, samples, out bytes);
                    },
                    Figures = median => new Dictionary<string, double>
                    {
                        ["tokens_per_second"] = rows * length / median * 1e6,
                        ["managed_bytes_per_step"] = bytes,
                        ["trainable_parameters"] = trainable,
                    },
                }
            );
        }
        return scenario;
    }
}

/// <summary>
/// Tokens per second of LoRA on all projections of a model with the sizes of an 8B Llama and random weights.
/// </summary>
internal sealed class Train8BCase : BenchCase
{
    public override string Name => "train-8b";
    public override int Target => 12;
    public override string Description =>
        "LoRA training step of an 8B-shaped model, sequence 4096, tokens per second, with and without a CUDA graph.";

    public override IEnumerable<Plan> Plans(Machine machine)
    {
        (ModelConfig config, int rank, int rows, int length) = machine.Choose(
            (TrainingSetup.Llama(32, 128256), 16, 1, 4096),
            (TrainingSetup.Llama(32, 128256), 16, 1, 4096),
            (TrainingSetup.Tiny, 4, 1, 16)
        );
        return
        [
            new Plan(
                $"{config.ParameterCount / 1e9:G3}B r={rank} {rows} x {length} tokens",
                () => Prepare(machine, config, rank, rows, length)
            ),
        ];
    }

    private static Scenario Prepare(Machine machine, ModelConfig config, int rank, int rows, int length)
    {
        var scenario = new Scenario();
        CausalLanguageModel model = scenario.Own(TrainingSetup.Model(machine, config));
        foreach (
            (string name, TrainerOptions options) in new (string, TrainerOptions)[]
            {
                ("stream", new()),
                ("graph", new() { CudaGraph = true }),
                ("checkpointing", new() { ActivationCheckpointing = true }),
                ("graph+checkpointing", new() { ActivationCheckpointing = true, CudaGraph = true }),
            }
        )
        {
            // The adapters differ in nothing, but what a step keeps in memory does: one at a time fits.
            TrainingSetup? setup = null;
            double bytes = double.NaN;
            int tokens = rows * length;
            scenario.Variants.Add(
                new Variant(name, _ => { })
                {
                    MostSamples = 10,
                    Check = () =>
                    {
                        setup = new TrainingSetup(model, AdapterMethods.Find("lora"), rank, rows, length, options);
                        return setup.Check();
                    },
                    Measure = samples =>
                    {
                        using TrainingSetup measured = setup!;
                        return measured.Measure(machine, samples, out bytes);
                    },
                    // Forward 2 and the gradient of the inputs 2 per weight and token; attention and the adapter come
                    // on top.
                    Flops = 4.0 * (config.ParameterCount - (double)config.VocabularySize * config.HiddenSize) * tokens,
                    Figures = median => new Dictionary<string, double>
                    {
                        ["tokens_per_second"] = tokens / median * 1e6,
                        ["managed_bytes_per_step"] = bytes,
                    },
                }
            );
        }
        return scenario;
    }
}
