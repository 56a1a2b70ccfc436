using System.Globalization;
using Spectral.Training.Adapters;
using Spectral.Training.Objectives;

namespace Spectral.Training.Logs;

/// <summary>
/// Writes the figures of a run as an event file, which TensorBoard shows: <c>train/loss</c>,
/// <c>train/learning_rate</c>, <c>train/gradient_norm</c> and <c>train/tokens_per_second</c> of each step,
/// <c>eval/loss</c> and <c>eval/exact_match</c> of each evaluation, and of pairs <see cref="PairScores.Names"/> in both
/// groups. Every event is flushed at once. Values that are not
/// finite are left out.
/// </summary>
/// <remarks>
/// The file holds <c>Event</c> messages of TensorFlow (version <c>brain.Event:2</c>) in its record format. A resumed
/// run adds a file that begins with the start of a session, whereupon TensorBoard drops what earlier files have from
/// that step on.
/// </remarks>
public sealed class TensorBoardLog : ITrainerCallback, IDisposable
{
    // Field numbers of Event, Summary, Summary.Value and SessionLog.
    private const int EventTime = 1;
    private const int EventStep = 2;
    private const int EventVersion = 3;
    private const int EventSummary = 5;
    private const int EventSession = 7;
    private const int SummaryValue = 1;
    private const int ValueTag = 1;
    private const int ValueNumber = 2;
    private const int SessionStatus = 1;
    private const int SessionStarts = 1;

    private readonly RecordFile _file;

    /// <summary>Starts an event file in a folder, which is created if it is absent.</summary>
    /// <param name="folder">The folder that TensorBoard is given as its <c>--logdir</c>.</param>
    /// <param name="after">The number of steps that a resumed run has made; 0 for a new run.</param>
    public TensorBoardLog(string folder, int after = 0)
    {
        Directory.CreateDirectory(folder);
        _file = new RecordFile(FreeName(folder));
        Write(new ProtobufMessage().Double(EventTime, Now()).Text(EventVersion, "brain.Event:2"));
        if (after > 0)
        {
            Write(Event(after + 1).Message(EventSession, new ProtobufMessage().Integer(SessionStatus, SessionStarts)));
        }
    }

    /// <inheritdoc/>
    public void OnStep(StepReport report) =>
        Write(
            report.Step,
            [
                ("train/loss", report.Loss),
                ("train/learning_rate", report.LearningRate),
                ("train/gradient_norm", report.GradientNorm),
                ("train/tokens_per_second", report.TokensPerSecond),
                .. OfPairs("train", report.PairScores),
                .. RouterReport.Names.Select(name => $"train/{name}").Zip(report.Routers?.Values() ?? []),
            ]
        );

    /// <inheritdoc/>
    public void OnEvaluation(int step, EvaluationResult result) =>
        Write(
            step,
            [
                ("eval/loss", result.Loss),
                ("eval/exact_match", result.ExactMatch ?? double.NaN),
                .. OfPairs("eval", result.PairScores),
                .. (result.Metrics ?? []).Select(metric => ($"eval/{metric.Name}", metric.Value)),
            ]
        );

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();

    private static IEnumerable<(string Tag, double Value)> OfPairs(string group, PairScores? scores) =>
        scores is null ? [] : PairScores.Names.Select(name => $"{group}/{name}").Zip(scores.Values());

    private void Write(int step, ReadOnlySpan<(string Tag, double Value)> values)
    {
        var summary = new ProtobufMessage();
        foreach ((string tag, double value) in values)
        {
            if (double.IsFinite(value))
            {
                summary.Message(
                    SummaryValue,
                    new ProtobufMessage().Text(ValueTag, tag).Float(ValueNumber, (float)value)
                );
            }
        }

        Write(Event(step).Message(EventSummary, summary));
    }

    private void Write(ProtobufMessage message) => _file.Write(message.Encoded);

    private static ProtobufMessage Event(int step) =>
        new ProtobufMessage().Double(EventTime, Now()).Integer(EventStep, step);

    private static double Now() => (DateTimeOffset.UtcNow - DateTimeOffset.UnixEpoch).TotalSeconds;

    /// <summary>
    /// Returns a name that TensorBoard takes for an event file, and that sorts after those of earlier files.
    /// </summary>
    private static string FreeName(string folder)
    {
        string seconds = ((long)Now()).ToString("D10", CultureInfo.InvariantCulture);
        for (int number = 0; ; number++)
        {
            string path = Path.Combine(folder, $"events.out.tfevents.{seconds}.spectral.{number:D3}");
            if (!File.Exists(path))
                return path;
        }
    }
}
