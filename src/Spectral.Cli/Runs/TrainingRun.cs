using System.Globalization;
using System.Text.Json.Nodes;
using Spectral.Cli.Hosting;
using Spectral.Cli.Live;
using Spectral.Cli.Options;
using Spectral.Cli.Output;
using Spectral.Cli.Reports;
using Spectral.Kernels;
using Spectral.Training;
using Spectral.Training.Adapters;
using Spectral.Training.IO;
using Spectral.Training.Metrics;
using Spectral.Training.Models;
using Spectral.Training.Objectives;

namespace Spectral.Cli.Runs;

/// <summary>
/// Trains and writes log, checkpoints and report into an output folder. If the run ends before its first checkpoint, it
/// leaves nothing behind. Of several ranks, the first alone writes.
/// </summary>
internal sealed class TrainingRun(
    CommandContext context,
    TrainerOptions settings,
    OutputFolder output,
    RunIdentity identity
)
{
    public const string LogName = "train_log.jsonl";

    private readonly RunRecorder _recorder = new();
    private readonly CheckpointFolder _checkpoints = new(output.FullPath);
    private int? _savedStep;

    /// <summary>The heading of the report.</summary>
    public required string Title { get; init; }

    /// <summary>What the progress bar calls the work.</summary>
    public string Work { get; init; } = "training";

    /// <summary>The rows of the report's table of settings.</summary>
    public required IReadOnlyList<(string Name, string Value)> Settings { get; init; }

    /// <summary>The number of steps between checkpoints.</summary>
    public required int SaveEvery { get; init; }

    /// <summary>Whether what each checkpoint saves is kept beside those of other steps.</summary>
    public bool KeepsCheckpoints { get; init; }

    /// <summary>The forms of the log (<see cref="LogOption"/>).</summary>
    public IReadOnlySet<string> Logs { get; init; } = new HashSet<string>();

    /// <summary>The port of the live page, 0 for any free one; null: there is none.</summary>
    public int? Port { get; init; }

    /// <summary>The memory of each rank, once the run has ended; empty for one process.</summary>
    public IReadOnlyList<RankMemory> Memory { get; private set; } = [];

    /// <summary>Writes the trained adapter or model into a folder.</summary>
    public required Action<string> Save { get; init; }

    /// <summary>Makes the JSON object that the command prints with --json.</summary>
    public required Func<TrainingResult, JsonObject> Json { get; init; }

    /// <summary>
    /// Prints the result of a run that is done, and completes a checkpoint that its process left incomplete.
    /// </summary>
    public static void ShowDone(CommandContext context, OutputFolder output, SavedRun saved, JsonObject result)
    {
        if (context.Launch.IsFirst)
            new CheckpointFolder(output.FullPath).Recover(saved.Staged);
        context.Finish(
            result,
            terminal =>
                terminal.Line(
                    $"the run in {output.FullPath} is done: all {saved.State.Step} steps were made, "
                        + "there is nothing to resume"
                )
        );
    }

    /// <summary>Trains to the end of the run.</summary>
    /// <param name="model">The model, with its adapter.</param>
    /// <param name="records">The records.</param>
    /// <param name="saved">The checkpoint to resume from; null for a new run.</param>
    /// <exception cref="InputException">The checkpoint does not fit what is trained; nothing was changed.</exception>
    /// <exception cref="RunStoppedException">A signal stopped the run, and its checkpoint was written.</exception>
    public TrainingResult Train(CausalLanguageModel model, RunRecords records, SavedRun? saved)
    {
        using var trainer = new Trainer(model, settings, ranks: context.Ranks);
        if (saved is not null)
            trainer.Restore(saved.State);
        TrainingResult result = context.Ranks.IsFirst
            ? Lead(trainer, model, records, saved)
            : trainer.Run(records.Training, records.Evaluation, cancellation: context.Cancellation);
        if (context.Ranks.Count > 1)
            Memory = RankMemory.Gather(context.Ranks, model);
        return result;
    }

    /// <summary>Returns what the command prints with --json once the run has ended.</summary>
    public JsonObject Finished(TrainingResult result)
    {
        JsonObject json = Json(result);
        if (Memory.Count > 0)
            json["ranks"] = new JsonArray([.. Memory.Select(rank => rank.Json())]);
        return json;
    }

    /// <summary>Trains on the rank that writes and prints.</summary>
    private TrainingResult Lead(Trainer trainer, CausalLanguageModel model, RunRecords records, SavedRun? saved)
    {
        var live = new LiveRun(Title, Settings);
        using LiveServer? server = Port is { } port ? new LiveServer(live, port) : null;
        if (server is not null)
            context.Terminal.Line($"the run is shown at {server.Address}");
        string log = Path.Combine(output.FullPath, LogName);
        FurtherLogs? further = null;
        try
        {
            using TrainingLog writer = saved is null ? new(log) : new(log, saved.Log.Bytes, saved.Log.Sha256);
            further = new FurtherLogs(
                output.FullPath,
                Logs,
                saved?.State.Step ?? 0,
                LossMethods.Find(settings.Loss.Name).TakesPairs,
                Adapter.Of(model) is { HasRouters: true }
            );
            Begin(saved, log, trainer, [_recorder, live, .. further.Rewritten]);
            using CancellationTokenRegistration told = context.Cancellation.Register(() =>
                context.Terminal.Line("stopping after this step; a second signal stops at once")
            );
            var saving = new Checkpoints(SaveEvery, () => WriteCheckpoint(trainer, writer, model));
            return context.Terminal.Track(
                Work,
                records.Steps,
                progress =>
                    trainer.Run(
                        records.Training,
                        records.Evaluation,
                        [
                            writer,
                            .. further.Callbacks,
                            _recorder,
                            live,
                            new ProgressCallback(context.Terminal, progress, settings.LogEvery),
                            saving,
                        ],
                        context.Cancellation
                    )
            );
        }
        catch (OperationCanceledException) when (_savedStep is { } step)
        {
            throw new RunStoppedException(
                $"stopped; the checkpoint of step {step} of {records.Steps} is in {output.FullPath}; "
                    + $"the same command {HowToResume} continues from it",
                context.Cancellation
            );
        }
        catch (IOException error) when (_savedStep is { } step)
        {
            throw new IOException(
                $"{error.Message.TrimEnd('.')}; the checkpoint of step {step} is kept; "
                    + $"the same command {HowToResume} continues from it",
                error
            );
        }
        catch when (saved is null && _savedStep is null)
        {
            if (output.WasEmpty)
                output.Clear();
            else
                DeleteLogs();
            throw;
        }
        finally
        {
            further?.Dispose();
        }

        void DeleteLogs()
        {
            File.Delete(log);
            further?.Dispose();
            further?.Delete();
        }
    }

    private string HowToResume => identity.Overwrites ? "with --resume instead of --overwrite" : "with --resume";

    private void Begin(SavedRun? saved, string log, Trainer trainer, ITrainerCallback[] followers)
    {
        if (saved is null)
        {
            _checkpoints.Clear();
            return;
        }
        _checkpoints.Recover(saved.Staged);
        _savedStep = saved.State.Step;
        LoggedRun.Replay(log, trainer.Progress, followers);
        // While it is mapped, the file would keep its space on the disk after it is replaced, and on Windows it could
        // not be replaced at all.
        saved.Dispose();
        context.Terminal.Line($"resuming after step {_savedStep}");
    }

    /// <summary>
    /// Writes a checkpoint. The log is flushed to the disk first, as the checkpoint has its length and digest.
    /// </summary>
    private void WriteCheckpoint(Trainer trainer, TrainingLog log, CausalLanguageModel model)
    {
        trainer.RequireFinite();
        log.Flush();
        // First, as a run that resumes from this checkpoint does not make it again.
        if (KeepsCheckpoints)
            _checkpoints.Keep(trainer.Progress.Step, SaveResult);
        _checkpoints.Write(
            folder =>
            {
                SaveResult(folder);
                WriteReport(folder, model.Device, trainer.Result);
            },
            (path, staged) =>
                trainer.Save(
                    path,
                    SavedRun.Notes(identity, model, log, staged, trainer.Result is { } result ? Json(result) : null)
                )
        );
        _savedStep = trainer.Progress.Step;

        void SaveResult(string folder)
        {
            using IDisposable? average = trainer.UseAverage();
            Save(folder);
        }
    }

    /// <summary>Returns the keys of the JSON object that all training commands have in common.</summary>
    public static JsonObject JsonOf(
        TrainerOptions settings,
        TrainingResult result,
        CausalLanguageModel model,
        long trainable,
        long total
    )
    {
        var json = new JsonObject
        {
            ["optimizer"] = settings.OptimizerChoice.Name,
            ["optimizer_settings"] = OptimizerOption.Json(settings.OptimizerChoice),
            ["steps"] = result.Steps,
            ["skipped_steps"] = result.Skipped,
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
        foreach (MetricValue metric in result.Before?.Metrics ?? [])
            json[metric.Name + "_before"] = JsonOutput.Number(metric.Value);
        foreach (MetricValue metric in result.After?.Metrics ?? [])
            json[metric.Name] = JsonOutput.Number(metric.Value);
        if (LossMethods.Find(settings.Loss.Name).TakesPairs)
        {
            json["loss"] = settings.Loss.Name;
            json["loss_settings"] = LossOption.Json(settings.Loss);
            foreach (
                (string suffix, EvaluationResult? scores) in new[] { ("_before", result.Before), ("", result.After) }
            )
            {
                for (int i = 0; i < PairScores.Names.Count; i++)
                    json[PairScores.Names[i] + suffix] = JsonOutput.Number(scores?.PairScores?.Values()[i]);
            }
        }

        return json;
    }

    /// <summary>Prints the result of the run as text.</summary>
    public void Print(Terminal terminal, TrainingResult result, long trainable, long total)
    {
        if (result is { Before: { } before, After: { } after })
        {
            terminal.Line($"{"", -14}{"before", 10}{"after", 10}");
            terminal.Line(Text($"{"eval loss", -14}{before.Loss, 10:0.0000}{after.Loss, 10:0.0000}"));
            if (before.ExactMatch is not null)
            {
                terminal.Line(
                    Text($"{"exact match", -14}{Percent(before.ExactMatch), 10}{Percent(after.ExactMatch), 10}")
                );
            }

            foreach ((string name, string was, string now) in Metrics(before, after))
                terminal.Line(Text($"{name, -22}{was, 8}{now, 10}"));
            foreach ((string name, string was, string now) in Rewards(before, after))
                terminal.Line(Text($"{name, -16}{was, 8}{now, 10}"));
        }
        if (result.Skipped > 0)
            terminal.Line($"{result.Skipped} steps were skipped: their loss or gradient was not a finite number");
        terminal.Table([
            ("final loss", Text($"{result.FinalLoss:0.0000}")),
            ("trained", Text($"{trainable:N0} of {total:N0} parameters ({100.0 * trainable / total:0.##} %)")),
            ("speed", Text($"{result.TokensPerSecond:N0} tokens/s, {result.Steps} steps in {result.Seconds:0.0} s")),
            .. Memory.Select((rank, i) => ($"rank {i}", rank.ToString())),
            ("written to", output.FullPath),
        ]);
    }

    private static string Summary(TrainingResult result)
    {
        string made =
            Text($"{result.Steps} steps, {result.Tokens:N0} tokens in {result.Seconds:0.0} s ")
            + Text($"({result.TokensPerSecond:N0} tokens/s); final loss {result.FinalLoss:0.0000}.");
        return result.Skipped > 0
            ? $"{made} {result.Skipped} steps were skipped: their loss or gradient was not a finite number."
            : made;
    }

    /// <summary>Returns the scores of pairs before and after the run; none without pairs.</summary>
    private static IEnumerable<(string Name, string Before, string After)> Rewards(
        EvaluationResult before,
        EvaluationResult after
    ) =>
        before.PairScores is { } was && after.PairScores is { } now
            ?
            [
                ("chosen reward", Text($"{was.ChosenReward:0.0000}"), Text($"{now.ChosenReward:0.0000}")),
                ("rejected reward", Text($"{was.RejectedReward:0.0000}"), Text($"{now.RejectedReward:0.0000}")),
                ("reward accuracy", Percent(was.Accuracy), Percent(now.Accuracy)),
            ]
            : [];

    /// <summary>Returns the further scores before and after the run; none without any.</summary>
    private static IEnumerable<(string Name, string Before, string After)> Metrics(
        EvaluationResult before,
        EvaluationResult after
    ) =>
        (before.Metrics ?? []).Zip(
            after.Metrics ?? [],
            (was, now) => (was.Name.Replace('_', ' '), Text($"{was.Value:0.0000}"), Text($"{now.Value:0.0000}"))
        );

    private static string Percent(double? share) => share is { } value ? Text($"{100 * value:0.0} %") : "";

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    private void WriteReport(string folder, Device device, TrainingResult? result)
    {
        var numbers = new List<BeforeAfter>();
        if (result is { Before: { } before, After: { } after })
        {
            numbers.Add(
                new BeforeAfter("Loss on held-out records", Text($"{before.Loss:0.0000}"), Text($"{after.Loss:0.0000}"))
            );
            if (before.HasPerplexity)
            {
                numbers.Add(
                    new BeforeAfter("Perplexity", Text($"{before.Perplexity:0.000}"), Text($"{after.Perplexity:0.000}"))
                );
            }

            foreach ((string name, string was, string now) in Rewards(before, after).Concat(Metrics(before, after)))
                numbers.Add(new BeforeAfter(char.ToUpperInvariant(name[0]) + name[1..], was, now));
            if (before.ExactMatch is not null)
                numbers.Add(new BeforeAfter("Exact match", Percent(before.ExactMatch), Percent(after.ExactMatch)));
        }
        var report = new HtmlReport
        {
            Title = Title,
            Summary = result is null
                ? Text($"Checkpoint at step {_recorder.Losses[^1].Step}, written while training continued.")
                : Summary(result),
            Numbers = numbers,
            // The variants that ran are known only now. A run can be repeated bit for bit only with the same ones.
            Settings = [.. Settings, .. device.Variants.All.Select(use => (use.What, use.Choice))],
            Training = _recorder.Losses,
            Evaluation = _recorder.Evaluations,
        };
        File.WriteAllText(Path.Combine(folder, "report.html"), report.Render());
    }

    /// <summary>Records the loss curve for the report.</summary>
    private sealed class RunRecorder : ITrainerCallback
    {
        public List<LossPoint> Losses { get; } = [];

        public List<LossPoint> Evaluations { get; } = [];

        public void OnStep(StepReport report) => Losses.Add(new LossPoint(report.Step, report.Loss));

        public void OnEvaluation(int step, EvaluationResult result) =>
            Evaluations.Add(new LossPoint(step, result.Loss));
    }

    private sealed class ProgressCallback(Terminal terminal, WorkProgress progress, int every) : ITrainerCallback
    {
        public void OnStep(StepReport report) =>
            progress.Report(
                report.Step,
                Text(
                    $"loss {report.Loss:0.0000}  lr {report.LearningRate:0.0e-00}  {report.TokensPerSecond:N0} tokens/s"
                )
                    + Accuracy(report.PairScores)
                    + Clipped(report),
                report.Step % every == 0
            );

        public void OnEvaluation(int step, EvaluationResult result) =>
            terminal.Line(
                Text($"step {step}: eval loss {result.Loss:0.0000}")
                    + ExactMatch(result)
                    + Accuracy(result.PairScores)
                    + string.Concat((result.Metrics ?? []).Select(Metric))
            );

        private static string Accuracy(PairScores? scores) =>
            scores is null ? "" : $"  reward accuracy {Percent(scores.Accuracy)}";

        private static string Clipped(StepReport report) =>
            report.Groups is { } groups
                ? $"  clipped {groups.Count(group => group.IsClipped)} of {groups.Count} groups"
                : "";

        private static string Metric(MetricValue metric) =>
            Text($", {metric.Name.Replace('_', ' ')} {metric.Value:0.0000}");

        private static string ExactMatch(EvaluationResult result) =>
            result.ExactMatch is null ? "" : $", exact match {Percent(result.ExactMatch)}";
    }
}
