using System.Diagnostics.Metrics;
using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Data;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
[NonParallelizable] // other runs of the process report on the same meter
public sealed class TrainingMetersTests(DeviceKind kind) : TrainingTest(kind)
{
    [Test]
    public void EveryStepIsReported()
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Llama, Device, Folder));
        using var adapter = Adapter.Attach(model, AdapterMethods.Find("lora"), new AdapterOptions { Rank = 2 });
        EncodedRecord[] data = TinyModels.Records(6, TinyModels.Llama, new Random(3));
        using var trainer = new Trainer(
            model,
            new TrainerOptions
            {
                Steps = 3,
                Batch = 2,
                LogEvery = 0,
            }
        );
        var reports = new StepRecorder();
        var measured = new Dictionary<string, List<double>>();
        using MeterListener listener = new();
        listener.InstrumentPublished = (instrument, to) =>
        {
            if (instrument.Meter.Name == "Spectral.Training")
                to.EnableMeasurementEvents(instrument);
        };
        listener.SetMeasurementEventCallback<double>((instrument, value, _, _) => Note(instrument, value));
        listener.SetMeasurementEventCallback<long>((instrument, value, _, _) => Note(instrument, value));
        listener.Start();

        TrainingResult result = trainer.Run(data, data, [reports]);

        Assert.Multiple(() =>
        {
            Assert.That(Of("steps"), Is.EqualTo(new[] { 1, 1, 1 }));
            Assert.That(measured.Keys, Has.None.EqualTo("spectral.training.skipped_steps"));
            Assert.That(Of("tokens").Sum(), Is.EqualTo(result.Tokens));
            Assert.That(Of("loss"), Is.EqualTo(reports.Steps.Select(step => step.Loss)));
            Assert.That(Of("learning_rate"), Is.EqualTo(reports.Steps.Select(step => step.LearningRate)));
            Assert.That(Of("gradient_norm"), Is.EqualTo(reports.Steps.Select(step => step.GradientNorm)));
            Assert.That(Of("step.duration").Sum(), Is.EqualTo(result.Seconds).Within(1e-9));
            Assert.That(Of("memory"), Is.All.Positive);
            Assert.That(Of("memory.peak"), Is.All.InRange(Of("memory").Max(), (double)Device.Memory.Peak));
            Assert.That(Of("evaluation.loss"), Is.EqualTo(new[] { result.Before!.Loss, result.After!.Loss }));
        });

        double[] Of(string name) => [.. measured["spectral.training." + name]];

        void Note(Instrument instrument, double value)
        {
            if (!measured.TryGetValue(instrument.Name, out List<double>? values))
                measured.Add(instrument.Name, values = []);
            values.Add(value);
        }
    }

    private sealed class StepRecorder : ITrainerCallback
    {
        public List<StepReport> Steps { get; } = [];

        public void OnStep(StepReport report) => Steps.Add(report);
    }
}
