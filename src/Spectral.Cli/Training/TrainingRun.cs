using System.Globalization;
using System.Text.Json.Nodes;
using Spectral.Kernels;
using Spectral.Training;

namespace Spectral.Cli;

/// <summary>
/// Trains into an output folder: log, progress, checkpoints and report. If it ends before the first checkpoint is
/// written, nothing stays behind.
/// </summary>
internal sealed class TrainingRun(CommandContext context, TrainerOptions settings, OutputFolder output)
{
    private readonly RunRecorder recorder = new();

    /// <summary>What the report says above its table of settings.</summary>
    public required string Title { get; init; }

    /// <summary>Rows of the report's table of settings.</summary>
    public required IReadOnlyList<(string Name, string Value)> Settings { get; init; }

    /// <summary>Steps between checkpoints.</summary>
    public required int SaveEvery { get; init; }

    /// <summary>Writes what is trained into a folder, each file atomically.</summary>
    public required Action<string> Save { get; init; }

    /// <exception cref="OperationCanceledException">Stopped by a signal; the last checkpoint is kept.</exception>
    public TrainingResult Train(CausalLanguageModel model, EncodedRecord[] data, EncodedRecord[]? evaluation)
    {
        bool saved = false;
        string log = Path.Combine(output.FullPath, "train_log.jsonl");
        try
        {
            using var trainer = new Trainer(model, settings);
            using var writer = new TrainingLog(log);
            var checkpoints = new Checkpoints(SaveEvery, () =>
            {
                Save(output.FullPath);
                saved = true;
                WriteReport(model.Device, null);
            });
            TrainingResult result = context.Terminal.Track("training", settings.StepsFor(data.Length), progress =>
                trainer.Run(data, evaluation, [writer, recorder, new ProgressCallback(context.Terminal, progress, settings.LogEvery), checkpoints], context.Cancellation));
            WriteReport(model.Device, result);
            return result;
        }
        catch
        {
            if (!saved && output.WasEmpty) output.Clear();
            else if (!saved) File.Delete(log);
            throw;
        }
    }

    /// <summary>The keys of the JSON object that every training command prints.</summary>
    public static JsonObject Json(TrainingResult result, CausalLanguageModel model, long trainable, long total) => new()
    {
        ["steps"] = result.Steps,
        ["final_loss"] = JsonOutput.Number(result.FinalLoss),
        ["eval_loss_before"] = JsonOutput.Number(result.Before?.Loss),
        ["eval_loss"] = JsonOutput.Number(result.After?.Loss),
        ["exact_match_before"] = JsonOutput.Number(result.Before?.ExactMatch),
        ["exact_match"] = JsonOutput.Number(result.After?.ExactMatch),
        ["tokens_per_second"] = JsonOutput.Number(result.TokensPerSecond),
        ["seconds"] = JsonOutput.Number(result.Seconds),
        ["trainable_parameters"] = trainable,
        ["total_parameters"] = total,
        ["peak_memory_bytes"] = model.Device.Memory.Peak,
        ["device"] = model.Device.ToString(),
        ["variants"] = JsonOutput.Array(model.Device.Variants.All.Select(use => use.ToString())),
    };

    /// <summary>The same for people.</summary>
    public static void Print(Terminal terminal, TrainingResult result, long trainable, long total, string output)
    {
        if (result is { Before: { } before, After: { } after })
        {
            terminal.Line($"{"",-14}{"before",10}{"after",10}");
            terminal.Line(Text($"{"eval loss",-14}{before.Loss,10:0.0000}{after.Loss,10:0.0000}"));
            if (before.ExactMatch is not null) terminal.Line(Text($"{"exact match",-14}{Percent(before.ExactMatch),10}{Percent(after.ExactMatch),10}"));
        }
        terminal.Table(
            ("final loss", Text($"{result.FinalLoss:0.0000}")),
            ("trained", Text($"{trainable:N0} of {total:N0} parameters ({100.0 * trainable / total:0.##} %)")),
            ("speed", Text($"{result.TokensPerSecond:N0} tokens/s, {result.Steps} steps in {result.Seconds:0.0} s")),
            ("written to", output));
    }

    private static string Percent(double? share) => share is { } value ? Text($"{100 * value:0.0} %") : "";

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    private void WriteReport(Device device, TrainingResult? result)
    {
        var numbers = new List<BeforeAfter>();
        if (result is { Before: { } before, After: { } after })
        {
            numbers.Add(new BeforeAfter("Loss on held-out records", Text($"{before.Loss:0.0000}"), Text($"{after.Loss:0.0000}")));
            numbers.Add(new BeforeAfter("Perplexity", Text($"{before.Perplexity:0.000}"), Text($"{after.Perplexity:0.000}")));
            if (before.ExactMatch is not null) numbers.Add(new BeforeAfter("Exact match", Percent(before.ExactMatch), Percent(after.ExactMatch)));
        }
        StepReport last = recorder.Last;
        var report = new HtmlReport
        {
            Title = Title,
            Summary = result is null
                ? Text($"Checkpoint at step {last.Step}; training went on.")
                : Text($"{result.Steps} steps, {result.Tokens:N0} tokens in {result.Seconds:0.0} s ({result.TokensPerSecond:N0} tokens/s); final loss {result.FinalLoss:0.0000}."),
            Numbers = numbers,
            // Which variants ran is known only now; without them a run could not be repeated to the bit.
            Settings = [.. Settings, .. device.Variants.All.Select(use => (use.What, use.Choice))],
            Training = recorder.Losses,
            Evaluation = recorder.Evaluations,
        };
        AtomicFile.Write(Path.Combine(output.FullPath, "report.html"), stream =>
        {
            using var writer = new StreamWriter(stream, leaveOpen: true);
            writer.Write(report.Render());
        });
    }

    /// <summary>Keeps the curve for the report.</summary>
    private sealed class RunRecorder : ITrainerCallback
    {
        public List<LossPoint> Losses { get; } = [];

        public List<LossPoint> Evaluations { get; } = [];

        public StepReport Last { get; private set; }

        public void OnStep(StepReport report)
        {
            Last = report;
            Losses.Add(new LossPoint(report.Step, report.Loss));
        }

        public void OnEvaluation(int step, EvaluationResult result) => Evaluations.Add(new LossPoint(step, result.Loss));
    }

    private sealed class ProgressCallback(Terminal terminal, WorkProgress progress, int every) : ITrainerCallback
    {
        public void OnStep(StepReport report) => progress.Report(report.Step,
            Text($"loss {report.Loss:0.0000}  lr {report.LearningRate:0.0e-00}  {report.TokensPerSecond:N0} tokens/s"), report.Step % every == 0);

        public void OnEvaluation(int step, EvaluationResult result) => terminal.Line(Text(
            $"step {step}: eval loss {result.Loss:0.0000}{(result.ExactMatch is null ? "" : $", exact match {Percent(result.ExactMatch)}")}"));
    }
}
