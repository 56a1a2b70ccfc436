using System.Globalization;
using Spectral.Cli.Hosting;
using Spectral.Cli.Output;
using Spectral.Cli.Runs;
using Spectral.Training;
using Spectral.Training.Adapters;
using Spectral.Training.Data;
using Spectral.Training.Models;

namespace Spectral.Cli.Continual;

/// <summary>
/// Trains the tasks one after another and evaluates all of them after each. What is evaluated, and what the next task
/// builds on, is always the saved adapter, so that a resumed run computes the same.
/// </summary>
/// <param name="context">The command line.</param>
/// <param name="tasks">The tasks in the order of training.</param>
/// <param name="folder">The folders of the tasks.</param>
internal sealed class ContinualRun(CommandContext context, IReadOnlyList<ContinualTask> tasks, ContinualFolder folder)
{
    /// <summary>The method of all adapters.</summary>
    public required AdapterMethod Method { get; init; }

    /// <summary>The options of a new adapter; the i-th task adds i − 1 to the seed.</summary>
    public required AdapterOptions Options { get; init; }

    /// <summary>How each task is trained; the i-th adds i − 1 to the seed.</summary>
    public required TrainerOptions Settings { get; init; }

    /// <summary>Trains one adapter.</summary>
    public required AdapterRun Training { get; init; }

    /// <summary>The share of --interpolate; null: what is evaluated is what a task trained.</summary>
    public required double? Interpolate { get; init; }

    /// <summary>The options and files of the whole run.</summary>
    public required RunIdentity Identity { get; init; }

    /// <summary>The records of --calibration-data; null without it.</summary>
    public required EncodedRecord[]? Calibration { get; init; }

    /// <summary>
    /// Reads the directions that training takes out of the hidden states of a model; null: there are none.
    /// </summary>
    public required Func<CausalLanguageModel, DirectionAblation?> Ablation { get; init; }

    /// <summary>Called with the scores after each evaluation.</summary>
    public required Action<ContinualScores> Measured { get; init; }

    /// <summary>Trains and evaluates what is missing.</summary>
    /// <param name="bases">The base, and what becomes of it.</param>
    /// <param name="saved">What an earlier process trained.</param>
    /// <param name="scores">What is measured; the missing stages are added.</param>
    /// <exception cref="RunStoppedException">A signal stopped a task, and its checkpoint was written.</exception>
    /// <exception cref="OperationCanceledException">A signal stopped an evaluation.</exception>
    public void Train(ContinualBase bases, SavedTasks saved, ContinualScores scores)
    {
        while (!scores.IsComplete)
        {
            int stage = scores.Count;
            if (stage > saved.Done)
                TrainOne(bases, tasks[stage - 1], stage == saved.Done + 1 ? saved.Running : null);
            scores.Add(Measure(BaseOf(bases, stage), stage, scores.NameOf(stage)));
            Measured(scores);
        }
    }

    /// <summary>Returns the model that the adapter of a task changes; that of task 0 is the base.</summary>
    private CausalLanguageModel BaseOf(ContinualBase bases, int task) =>
        Method.Sequence == TaskSequence.FoldedBase && task > 1
            ? bases.After(folder.PathOf(tasks[task - 2]))
            : bases.Model;

    private void TrainOne(ContinualBase bases, ContinualTask task, SavedRun? checkpoint)
    {
        TrainerOptions settings = Settings with { Seed = Settings.Seed + (ulong)(task.Number - 1) };
        AdapterOptions options = Options with { Seed = settings.Seed };
        string? previous = task.Number == 1 ? null : folder.PathOf(tasks[task.Number - 2]);
        if (previous is not null && Method.Sequence == TaskSequence.KeptAdapters)
            options = options.After(Method, previous);
        if (previous is not null && Method.Sequence == TaskSequence.FoldedBase)
            bases.Fold(previous, task.Number == 2 ? null : folder.PathOf(tasks[task.Number - 3]));
        CausalLanguageModel model = BaseOf(bases, task.Number);
        using OutputFolder output = folder.Of(task);
        output.Claim();
        using Adapter attached = Training.Attach(
            model,
            Method,
            options,
            Method.Sequence == TaskSequence.OneAdapter ? previous : null,
            CalibrationOf(task),
            settings,
            checkpoint
        );
        string name = $"task {task.Name} ({task.Number} of {tasks.Count})";
        using DirectionAblation? ablation = Ablation(model);
        model.Ablation = ablation;
        try
        {
            Training
                .Of(
                    model,
                    attached,
                    settings,
                    output,
                    Identity,
                    $"{Method.Name}, {name}",
                    [("data", $"{task.Files.Training} ({task.Records.Training.Length} records)")],
                    name
                )
                .Train(model, task.Records with { Evaluation = null }, checkpoint);
        }
        finally
        {
            model.Ablation = null;
        }
    }

    /// <summary>
    /// Returns the records that calibrate the adapter of a task: of what is to be kept, those of --calibration-data and
    /// of all earlier tasks; or else those that it trains on.
    /// </summary>
    private EncodedRecord[] CalibrationOf(ContinualTask task) =>
        Method.CalibratesOnKept
            ? [.. Calibration!, .. tasks.Take(task.Number - 1).SelectMany(earlier => earlier.Records.Training)]
            : Calibration ?? task.Records.Training;

    /// <summary>Returns the folder of the adapter that is evaluated after a task.</summary>
    private string Evaluated(CausalLanguageModel model, int task)
    {
        string trained = folder.PathOf(tasks[task - 1]);
        if (Interpolate is not { } share || task == 1)
            return trained;
        TaskAverage.Write(model, Evaluated(model, task - 1), trained, share);
        return TaskAverage.PathOf(trained);
    }

    private TaskScore[] Measure(CausalLanguageModel model, int stage, string name)
    {
        using Adapter? adapter = stage == 0 ? null : Adapter.Load(model, Evaluated(model, stage));
        TaskScore[] scores = context.Terminal.Track(
            $"evaluating {name}",
            tasks.Sum(task => (long)task.Records.Evaluation!.Length),
            progress =>
            {
                long before = 0;
                var measured = new List<TaskScore>();
                foreach (ContinualTask task in tasks)
                {
                    EvaluationResult result = Evaluator.Evaluate(
                        model,
                        task.Records.Evaluation!,
                        Settings.Loss,
                        Settings.Batch,
                        new RecordsDone(progress, before),
                        Settings.PackTo,
                        context.Cancellation
                    );
                    measured.Add(new TaskScore(result.Loss, result.ExactMatch));
                    before += task.Records.Evaluation!.Length;
                }
                return measured.ToArray();
            }
        );
        context.Terminal.Line($"{name}: {string.Join("; ", tasks.Zip(scores, Describe))}");
        return scores;
    }

    private static string Describe(ContinualTask task, TaskScore score) =>
        string.Create(CultureInfo.InvariantCulture, $"{task.Name} loss {score.Loss:0.0000}")
        + (
            score.ExactMatch is { } match
                ? string.Create(CultureInfo.InvariantCulture, $", exact match {100 * match:0.0} %")
                : ""
        );
}
