using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Optim;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Optim;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class WeightAverageTests(DeviceKind kind) : TrainingTest(kind)
{
    private static readonly TrainerOptions Options = new()
    {
        Steps = 8,
        Batch = 3,
        LearningRate = 1e-2,
        LogEvery = 0,
        EvalEvery = 4,
        EmaDecay = 0.5,
    };

    private EncodedRecord[] Records { get; } = TinyModels.Records(10, TinyModels.Llama, new Random(31));

    [Test]
    public void FollowsTheMastersByItsFormula()
    {
        using ParameterSet parameters = new(Device, [("a", (5, 7)), ("b", 3)], rates: [1, 2]);
        Random random = new(3);
        Fill(parameters, random);
        using WeightAverage average = new(parameters, 0.3);
        double[] expected = Values(parameters.Masters);
        for (int t = 1; t <= 6; t++)
        {
            Fill(parameters, random);
            average.Update();
            double decay = Math.Min(0.3, (1.0 + t) / (10.0 + t)); // 0.18, 0.25, 0.3, …
            double[] masters = Values(parameters.Masters);
            for (int i = 0; i < expected.Length; i++)
                expected[i] = decay * expected[i] + (1 - decay) * masters[i];
        }

        Assert.That(Values(average.Values), Is.EqualTo(expected).Within(1e-6));
    }

    [Test]
    public void LendsItsValuesToTheMasters()
    {
        using ParameterSet parameters = new(Device, [("a", (4, 4))], DType.BF16);
        Fill(parameters, new Random(1));
        using WeightAverage average = new(parameters, 0.9);
        Fill(parameters, new Random(2));
        average.Update();
        (double[] trained, double[] averages) = (Values(parameters.Masters), Values(average.Values));
        using (average.Use())
        {
            Assert.That(Values(parameters.Masters), Is.EqualTo(averages));
            Assert.That(
                parameters.Parameters[0].Value.ToArray(),
                Is.EqualTo(averages[..16]).Within(0.4).Percent,
                "the copy in the compute type"
            );
            Assert.That(average.Update, Throws.InvalidOperationException);
            Assert.That(average.Use, Throws.InvalidOperationException);
        }

        Assert.That(Values(parameters.Masters), Is.EqualTo(trained));
        Assert.That(parameters.Parameters[0].Value.ToArray(), Is.EqualTo(trained[..16]).Within(0.4).Percent);
    }

    [Test]
    public void ADecayOutOfRangeIsRefused([Values(-0.1, 1, double.NaN)] double decay)
    {
        using ParameterSet parameters = new(Device, [("a", 2)]);
        Assert.That(() => new WeightAverage(parameters, decay), Throws.ArgumentException);
    }

    /// <summary>
    /// The losses are those of the run without an average. What is evaluated and left is the average.
    /// </summary>
    [Test]
    public void ARunTrainsAsBeforeAndEndsWithTheAverage()
    {
        Run plain = Train(Options with { EmaDecay = null });
        Run averaged = Train(Options);
        Assert.Multiple(() =>
        {
            Assert.That(averaged.Losses, Is.EqualTo(plain.Losses));
            Assert.That(averaged.Trained, Is.EqualTo(plain.Trained));
            Assert.That(averaged.Result.After!.Loss, Is.EqualTo(averaged.LossAtEnd));
            Assert.That(averaged.Result.After.Loss, Is.Not.EqualTo(plain.Result.After!.Loss));
            Assert.That(averaged.Left, Is.Not.EqualTo(averaged.Trained));
        });
    }

    [Test]
    public void AResumedRunHasTheSameAverage()
    {
        string path = Path.Combine(Folder.Path, "state.safetensors");
        Run whole = Train(Options, path);
        using var state = TrainerState.Open(path);
        Assert.That(state.Step, Is.EqualTo(4));
        using CausalLanguageModel model = TinyModels.Trainable(TinyModels.Llama, Device);
        using Trainer trainer = new(model, Options);
        trainer.Restore(state);
        trainer.Run(Records, Records);
        Assert.That(Values(model.Trainable!.Masters), Is.EqualTo(whole.Left));
    }

    /// <summary>A run that ended holds the average; what it saves still is what trains, to go on with.</summary>
    [Test]
    public void ARunThatEndedCanBeMadeLonger()
    {
        string path = Path.Combine(Folder.Path, "state.safetensors");
        TrainerOptions options = Options with { Schedule = ScheduleKind.Constant };
        using (CausalLanguageModel model = TinyModels.Trainable(TinyModels.Llama, Device))
        using (Trainer trainer = new(model, options with { Steps = 4 }))
        {
            trainer.Run(Records, Records);
            double[] left = Values(model.Trainable!.Masters);
            trainer.Save(path);
            Assert.That(Values(model.Trainable.Masters), Is.EqualTo(left));
        }

        using var state = TrainerState.Open(path);
        using CausalLanguageModel longer = TinyModels.Trainable(TinyModels.Llama, Device);
        using Trainer again = new(longer, options);
        again.Restore(state);
        again.Run(Records, Records);
        Assert.That(Values(longer.Trainable!.Masters), Is.EqualTo(Train(options).Left));
    }

    [Test]
    public void AStateWithoutAnAverageIsRefused()
    {
        string path = Path.Combine(Folder.Path, "state.safetensors");
        Train(Options with { EmaDecay = null }, path);
        using var state = TrainerState.Open(path);
        using CausalLanguageModel model = TinyModels.Trainable(TinyModels.Llama, Device);
        using Trainer trainer = new(model, Options);
        Assert.That(
            () => trainer.Restore(state),
            Throws.InstanceOf<InputException>().With.Message.Contains("EmaDecay none, not 0.5")
        );
    }

    [Test]
    public void MethodsThatActBetweenStepsAreRefused()
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Llama, Device, Folder));
        Keep(Adapter.Attach(model, AdapterMethods.Find("adalora"), new AdapterOptions { Rank = 2 }));
        Assert.That(
            () => new Trainer(model, Options),
            Throws.InstanceOf<InputException>().With.Message.Contains("expected no --ema")
        );
    }

    /// <param name="options">The options of the run.</param>
    /// <param name="path">Where to save the state of step 4; null: nowhere.</param>
    private Run Train(TrainerOptions options, string? path = null)
    {
        using CausalLanguageModel model = TinyModels.Trainable(TinyModels.Llama, Device);
        using Trainer trainer = new(model, options);
        Recorder recorder = new(() => Values(model.Trainable!.Masters), step => Save(step));
        TrainingResult result = trainer.Run(Records, Records, [recorder]);
        double[] left = Values(model.Trainable!.Masters);
        double loss = Evaluator.Evaluate(model, Records, options.Batch).Loss;
        return new Run(result, [.. recorder.Losses], recorder.Trained, left, loss);

        void Save(int step)
        {
            if (path is not null && step == 4)
                trainer.Save(path);
        }
    }

    private static void Fill(ParameterSet parameters, Random random)
    {
        foreach (Parameter parameter in parameters.Parameters)
        {
            float[] values =
            [
                .. Enumerable.Range(0, (int)parameter.Shape.Count).Select(_ => random.NextSingle() - 0.5f),
            ];
            parameter.Master.CopyFrom(values);
        }

        parameters.NotifyChanged();
    }

    private static double[] Values(IEnumerable<Tensor> tensors) =>
        [.. tensors.SelectMany(tensor => tensor.ToArray()).Select(value => (double)value)];

    /// <param name="Result">What the run returned.</param>
    /// <param name="Losses">The loss of each step.</param>
    /// <param name="Trained">The masters after the last step, before the run ended.</param>
    /// <param name="Left">The masters after the run.</param>
    /// <param name="LossAtEnd">The loss of the model after the run.</param>
    private sealed record Run(
        TrainingResult Result,
        double[] Losses,
        double[] Trained,
        double[] Left,
        double LossAtEnd
    );

    private sealed class Recorder(Func<double[]> read, Action<int> save) : ITrainerCallback
    {
        public List<double> Losses { get; } = [];

        public double[] Trained { get; private set; } = [];

        public void OnStep(StepReport report) => Losses.Add(report.Loss);

        public void OnStepEnd(int step, bool isLast)
        {
            Trained = read();
            save(step);
        }
    }
}
