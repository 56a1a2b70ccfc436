using System.Diagnostics;
using System.Globalization;
using Spectral.Cli.Hosting;
using Spectral.Cli.Options;
using Spectral.Cli.Reports;
using Spectral.Training;
using Spectral.Training.Adapters;
using Spectral.Training.Calibration;
using Spectral.Training.Data;
using Spectral.Training.Models;

namespace Spectral.Cli.Comparisons;

/// <summary>
/// Trains every method with every seed on one model, which is loaded once: an adapter is attached for its run and then
/// removed. All methods run with one seed before the next seed, so that a comparison that is stopped early still
/// compares all methods.
/// </summary>
internal sealed class ComparisonRun(
    CommandContext context,
    TrainerOptions settings,
    IReadOnlyList<ComparedMethod> methods,
    int seeds
)
{
    /// <summary>Called with each run as soon as it has ended.</summary>
    public required Action<FinishedRun> Finished { get; init; }

    /// <summary>The records of --calibration-data; null: those of the run calibrate.</summary>
    public required EncodedRecord[]? Calibration { get; init; }

    /// <summary>How many records calibrate a method that starts from data.</summary>
    public required int CalibrationRecords { get; init; }

    /// <summary>Trains all runs, one after another.</summary>
    /// <exception cref="OperationCanceledException">The command was stopped by a signal.</exception>
    public void Train(CausalLanguageModel model, RunRecords records)
    {
        int runs = methods.Count * seeds;
        int done = 0;
        context.Terminal.Track(
            "comparing",
            (long)runs * records.Steps,
            progress =>
            {
                for (int i = 0; i < seeds; i++)
                {
                    foreach (ComparedMethod compared in methods)
                    {
                        FinishedRun run = TrainOne(
                            model,
                            compared,
                            settings.Seed + (ulong)i,
                            records,
                            new RunProgress(progress, (long)done++ * records.Steps)
                        );
                        Finished(run);
                        context.Terminal.Line($"{compared.Name} seed {run.Seed}: {Describe(run)} ({done} of {runs})");
                    }
                }

                return true;
            }
        );
    }

    private FinishedRun TrainOne(
        CausalLanguageModel model,
        ComparedMethod compared,
        ulong seed,
        RunRecords records,
        RunProgress progress
    )
    {
        progress.Title = $"{compared.Name} seed {seed}";
        model.Device.Memory.ResetPeak();
        long started = Stopwatch.GetTimestamp();
        ModelCalibration? calibration = compared.Method.StartsFromData
            ? ModelCalibration.OfTraining(
                model,
                Calibration ?? records.Training,
                settings with
                {
                    Seed = seed,
                },
                CalibrationRecords
            )
            : null;
        using var adapter = Adapter.Attach(model, compared.Method, compared.Options with { Seed = seed }, calibration);
        model.Device.Synchronize();
        double attaching = Stopwatch.GetElapsedTime(started).TotalSeconds;
        var recorder = new Recorder(model, progress);
        string? divergence = null;
        try
        {
            using var trainer = new Trainer(model, settings.With(compared.Optimizer) with { Seed = seed });
            trainer.Run(records.Training, records.Evaluation, [recorder], context.Cancellation);
        }
        catch (TrainingDivergedException error)
        {
            // That a method diverges with these settings is a result, and no reason to lose the others.
            divergence = error.Message;
        }
        return new FinishedRun
        {
            Compared = compared,
            Seed = seed,
            Trainable = adapter.TrainableCount,
            Losses = recorder.Losses,
            Seconds = recorder.Seconds,
            Evaluations = recorder.Evaluations,
            PeakMemory = recorder.PeakMemory,
            AttachSeconds = attaching,
            Divergence = divergence,
        };
    }

    private static string Describe(FinishedRun run)
    {
        if (run.Divergence is not null)
            return run.Divergence;
        string exact = run.ExactMatch is { } match
            ? string.Create(CultureInfo.InvariantCulture, $", exact match {100 * match:0.0} %")
            : "";
        return string.Create(
            CultureInfo.InvariantCulture,
            $"eval loss {run.EvalLoss:0.0000}{exact}, {run.Seconds.Sum():0.0} s"
        );
    }

    /// <summary>Reports the steps of one run as steps of the whole comparison.</summary>
    private sealed class RunProgress(WorkProgress whole, long before)
    {
        public string Title { get; set; } = "";

        public void Report(int step, double loss) =>
            whole.Report(before + step, string.Create(CultureInfo.InvariantCulture, $"{Title}  loss {loss:0.0000}"));
    }

    private sealed class Recorder(CausalLanguageModel model, RunProgress progress) : ITrainerCallback
    {
        public List<LossPoint> Losses { get; } = [];

        public List<double> Seconds { get; } = [];

        public List<(int Step, EvaluationResult Result)> Evaluations { get; } = [];

        public long PeakMemory { get; private set; }

        public void OnStart(int steps) => NotePeak();

        public void OnStep(StepReport report)
        {
            NotePeak();
            Losses.Add(new LossPoint(report.Step, report.Loss));
            Seconds.Add(report.Tokens / report.TokensPerSecond);
            progress.Report(report.Step, report.Loss);
        }

        public void OnEvaluation(int step, EvaluationResult result)
        {
            Evaluations.Add((step, result));
            model.Device.Memory.ResetPeak();
        }

        private void NotePeak() => PeakMemory = Math.Max(PeakMemory, model.Device.Memory.Peak);
    }
}
