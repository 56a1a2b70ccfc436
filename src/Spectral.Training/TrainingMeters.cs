using System.Diagnostics.Metrics;
using Spectral.Kernels;

namespace Spectral.Training;

/// <summary>
/// Names the meter on which every run of a <see cref="Trainer"/> reports, for OpenTelemetry and other listeners of
/// <c>System.Diagnostics.Metrics</c>. Without a listener the reports cost nothing.
/// </summary>
/// <example>
/// <code>
/// using System.Diagnostics.Metrics.MeterListener listener = new();
/// listener.InstrumentPublished = (instrument, to) =>
/// {
///     if (instrument.Meter.Name == TrainingMeters.Name)
///         to.EnableMeasurementEvents(instrument);
/// };
/// listener.SetMeasurementEventCallback&lt;double&gt;(
///     (instrument, value, tags, state) => Console.WriteLine($"{instrument.Name} {value} {instrument.Unit}")
/// );
/// listener.Start();
/// </code>
/// </example>
public static class TrainingMeters
{
    /// <summary>The name of the meter, to be given to <c>AddMeter</c> of OpenTelemetry.</summary>
    public const string Name = "Spectral.Training";

    private static readonly Meter Meter = new(Name);

    private static readonly Counter<long> Steps = Meter.CreateCounter<long>(
        "spectral.training.steps",
        "{step}",
        "Optimizer steps made, including skipped ones."
    );
    private static readonly Counter<long> Skipped = Meter.CreateCounter<long>(
        "spectral.training.skipped_steps",
        "{step}",
        "Steps that updated nothing because the loss or the gradient norm was not finite."
    );
    private static readonly Counter<long> Tokens = Meter.CreateCounter<long>(
        "spectral.training.tokens",
        "{token}",
        "Tokens processed, without padding."
    );
    private static readonly Gauge<double> Loss = Meter.CreateGauge<double>(
        "spectral.training.loss",
        "nat",
        "Mean loss per token, or per pair, of the last step."
    );
    private static readonly Gauge<double> LearningRate = Meter.CreateGauge<double>(
        "spectral.training.learning_rate",
        "1",
        "Learning rate of the last step."
    );
    private static readonly Gauge<double> GradientNorm = Meter.CreateGauge<double>(
        "spectral.training.gradient_norm",
        "1",
        "Norm of the gradients of the last step, before clipping."
    );
    private static readonly Histogram<double> Duration = Meter.CreateHistogram<double>(
        "spectral.training.step.duration",
        "s",
        "Time of an optimizer step."
    );
    private static readonly Gauge<long> Memory = Meter.CreateGauge<long>(
        "spectral.training.memory",
        "By",
        "Device memory in use after the last step."
    );
    private static readonly Gauge<long> Peak = Meter.CreateGauge<long>(
        "spectral.training.memory.peak",
        "By",
        "Largest device memory in use so far."
    );
    private static readonly Gauge<double> EvaluationLoss = Meter.CreateGauge<double>(
        "spectral.training.evaluation.loss",
        "nat",
        "Mean loss per token, or per pair, of the last evaluation."
    );
    private static readonly Gauge<double> RewardMargin = Meter.CreateGauge<double>(
        "spectral.training.reward_margin",
        "1",
        "Mean difference between the rewards of chosen and rejected sides in the last step."
    );
    private static readonly Gauge<double> RewardAccuracy = Meter.CreateGauge<double>(
        "spectral.training.reward_accuracy",
        "1",
        "Share of the pairs of the last step whose chosen side has the larger reward."
    );

    /// <summary>Reports a step to the meter.</summary>
    internal static void Record(in StepReport report, double seconds, DeviceMemory memory)
    {
        Steps.Add(1);
        if (report.Skipped)
            Skipped.Add(1);
        Tokens.Add(report.Tokens);
        if (double.IsFinite(report.Loss))
            Loss.Record(report.Loss);
        if (report.PairScores is { } scores && double.IsFinite(report.Loss))
        {
            RewardMargin.Record(scores.ChosenReward - scores.RejectedReward);
            RewardAccuracy.Record(scores.Accuracy);
        }

        LearningRate.Record(report.LearningRate);
        if (double.IsFinite(report.GradientNorm))
            GradientNorm.Record(report.GradientNorm);
        Duration.Record(seconds);
        Memory.Record(memory.InUse);
        Peak.Record(memory.Peak);
    }

    /// <summary>Reports an evaluation to the meter.</summary>
    internal static void Record(EvaluationResult result) => EvaluationLoss.Record(result.Loss);
}
