using System.CommandLine;
using System.Text.Json.Nodes;
using Spectral.Cli.Continual;
using Spectral.Cli.Hosting;
using Spectral.Cli.Options;
using Spectral.Cli.Output;
using Spectral.Cli.Reports;
using Spectral.Cli.Runs;
using Spectral.Kernels;
using Spectral.Training;
using Spectral.Training.Adapters;
using Spectral.Training.Data;
using Spectral.Training.IO;

namespace Spectral.Cli.Commands;

internal sealed class ContinualCommand : SpectralCommand
{
    private readonly AdapterCommandOptions _adapter = new(trains: true);
    private readonly TrainingOptions _training;
    private readonly TaskOptions _tasks = new();
    private readonly AblationOption _ablate = new();
    private readonly Option<double?> _interpolate = OptionTypes.OptionalNumber(
        "--interpolate",
        "Evaluate, and write to average in each task's folder, a running mean of the adapter over the tasks: this "
            + "share of it stays at each task, e.g. 0.5. Training goes on from what a task trained.",
        x => x is >= 0 and < 1,
        "a number from 0 to below 1"
    );

    public ContinualCommand()
        : base(
            "continual",
            "Trains tasks one after another, and measures what is left of the earlier ones.",
            "spectral continual --model base-model --task a=tasks/a --task b=tasks/b --out tasks-ab --adapter o-lora",
            "spectral continual --model base-model --task first.jsonl --eval first=held-out.jsonl --task second=b "
                + "--out both --adapter lora --rank 16 --lr 1e-3 --json"
        )
    {
        _training = new(
            "Model folder in Hugging Face layout.",
            "Folder for continual.json, continual.html and a folder for each task.",
            _adapter.Settings.All
        );
        Details =
            "All tasks are evaluated before the first and after each. A table task x after-task is written, with the "
            + "average, backward transfer and forgetting, as JSON and as a page. The method says how a task builds on "
            + "those before: one adapter is trained on, or each task gets its own, which contains the earlier ones "
            + "(o-lora). --steps or --epochs hold for each task; the i-th adds i-1 to --seed. "
            + TrainingOptions.ResumeDetails;
        AddOptions([
            _training.Model,
            _tasks.Tasks,
            _tasks.Evaluation,
            _training.Out,
            _adapter.Name,
            .. _adapter.Shared,
            _adapter.TrainAlso,
            _adapter.TrainTokens.Option,
            _adapter.KeepTied,
            _ablate.Option,
            _adapter.PromptText,
            _interpolate,
            .. _training.Settings.Where(option => option != _training.EvalEvery),
        ]);
    }

    public override void Execute(CommandContext context)
    {
        TrainerOptions settings = _training.Read(context);
        TaskFiles[] files = _tasks.Read(context);
        using OutputFolder output = _training.Output(
            context,
            [
                context.Get(_training.Model),
                .. files.Select(task => Path.GetDirectoryName(Path.GetFullPath(task.Training))),
            ]
        );
        AdapterMethod method = _adapter.Method(context);
        AdapterOptions options = _adapter.Read(context);
        settings.RequireSuits(method, options);
        if (context.Get(_interpolate) is not null && method.Sequence != TaskSequence.OneAdapter)
        {
            throw new InputException(
                OptionTypes.Complaint(
                    _interpolate.Name,
                    context.Text(_interpolate),
                    $"a method that trains one adapter through all tasks; {method.Name} makes one for each"
                )
            );
        }

        using var inputs = new ModelInputs(context, context.Get(_training.Model));
        UnusedAdapterOptions.Refuse(
            context,
            _adapter,
            MethodFacts.Of(method, AdapterTargets.Of(inputs.Folder.Config, method, options), options)
        );
        inputs.VirtualTokens = method.VirtualTokens(options);
        ContinualTask[] tasks = [.. files.Select((task, i) => Encode(context, inputs, settings, task, i + 1))];
        EncodedRecord[]? calibration = _adapter.Calibration(context, inputs, method, _training);

        output.Claim();
        var folder = new ContinualFolder(output);
        RunIdentity identity = Identity(context, tasks);
        var scores = new ContinualScores([.. tasks.Select(task => task.Name)]);
        using SavedTasks saved = Resume(context, folder, tasks, identity, scores);
        if (scores.IsComplete)
        {
            Finish(context, folder.ReadSummary()!, scores, output.FullPath);
            return;
        }

        using Device device = _training.Device.Open(context);
        DType type = _training.Device.TypeOn(device, context);
        saved.Prepare(context, device, type);
        using var bases = new ContinualBase(context, inputs, device, type);
        // A file that does not suit the model is refused before anything is evaluated.
        _ablate.Load(context, bases.Model)?.Dispose();
        string title = $"Tasks one after another: {method.Name} on {Path.GetFileName(inputs.Folder.Directory)}";
        (string, string)[] rows =
        [
            ("adapter", $"{method.Name}: {method.Summary}"),
            .. AdapterDescription.Of(_adapter, context),
            .. context.Get(_ablate.Option) is { } directions
                ? new[] { ("ablate", directions) }
                : Array.Empty<(string, string)>(),
            .. _training.Describe(context, bases.Model, tasks.SelectMany(Rows)),
        ];
        var run = new ContinualRun(context, tasks, folder)
        {
            Method = method,
            Options = _adapter.Encode(context, options, inputs.Tokenizer),
            Settings = settings,
            Training = new AdapterRun(context, _training, _adapter),
            Interpolate = context.Get(_interpolate),
            Identity = identity,
            Calibration = calibration,
            Ablation = model => _ablate.Load(context, model),
            Measured = measured =>
                folder.Write(Json(context, tasks, device, type, measured), ContinualPage.Render(title, measured, rows)),
        };
        run.Train(bases, saved, scores);
        Finish(context, Json(context, tasks, device, type, scores), scores, output.FullPath);
    }

    private ContinualTask Encode(
        CommandContext context,
        ModelInputs inputs,
        TrainerOptions settings,
        TaskFiles files,
        int number
    )
    {
        EncodedRecord[] training = _training.Encode(context, inputs, files.Training);
        EncodedRecord[] evaluation = _training.Encode(context, inputs, files.Evaluation);
        try
        {
            return new ContinualTask(number, files, new RunRecords(training, evaluation, settings.StepsFor(training)));
        }
        catch (InputException error)
        {
            throw new InputException($"task {files.Name}: {error.Message}", error);
        }
    }

    private RunIdentity Identity(CommandContext context, ContinualTask[] tasks) =>
        new(
            context,
            this,
            [_training.Model, _tasks.Tasks, _tasks.Evaluation, _adapter.CalibrationData, _ablate.Option],
            [
                (_training.Model.Name, context.Get(_training.Model)),
                .. new[] { _adapter.CalibrationData, _ablate.Option }
                    .Where(option => context.Get(option) is not null)
                    .Select(option => (option.Name, context.Get(option)!)),
                .. tasks.SelectMany(task =>
                    new[]
                    {
                        ($"{_tasks.Tasks.Name} {task.Folder}", task.Files.Training),
                        ($"{_tasks.Evaluation.Name} {task.Folder}", task.Files.Evaluation),
                    }
                ),
            ]
        );

    /// <summary>
    /// Opens what an earlier process left, with --resume; without, or if there is nothing, a new run begins.
    /// </summary>
    private SavedTasks Resume(
        CommandContext context,
        ContinualFolder folder,
        ContinualTask[] tasks,
        RunIdentity identity,
        ContinualScores scores
    )
    {
        if (!context.Get(_training.Resume))
        {
            folder.Clear(tasks);
            return new SavedTasks();
        }

        folder.RequireNothingElse(tasks);
        var saved = SavedTasks.Open(context, folder, tasks, identity);
        try
        {
            // Only a checkpoint tells that the scores are those of this run.
            if (saved.IsEmpty)
                folder.Clear(tasks);
            else
                scores.Restore(folder.ReadSummary(), saved.Done + 1);
            return saved;
        }
        catch
        {
            saved.Dispose();
            throw;
        }
    }

    private static IEnumerable<(string, string)> Rows(ContinualTask task) =>
        [
            ($"task {task.Name}", $"{task.Files.Training} ({task.Records.Training.Length} records)"),
            ($"held out, {task.Name}", $"{task.Files.Evaluation} ({task.Records.Evaluation!.Length} records)"),
        ];

    private JsonObject Json(
        CommandContext context,
        ContinualTask[] tasks,
        Device device,
        DType type,
        ContinualScores scores
    )
    {
        var json = new JsonObject
        {
            ["model"] = context.Get(_training.Model),
            ["adapter"] = context.Get(_adapter.Name),
            ["interpolate"] = JsonOutput.Number(context.Get(_interpolate)),
            ["out"] = context.Get(_training.Out),
            ["device"] = device.ToString(),
            ["dtype"] = type.ToString(),
            ["data"] = new JsonArray([
                .. tasks.Select(task =>
                    (JsonNode)
                        new JsonObject
                        {
                            ["task"] = task.Name,
                            ["train"] = task.Files.Training,
                            ["eval"] = task.Files.Evaluation,
                            ["steps"] = task.Records.Steps,
                            ["folder"] = task.Folder,
                        }
                ),
            ]),
        };
        foreach ((string key, JsonNode? value) in scores.ToJson())
            json[key] = value?.DeepClone();
        return json;
    }

    private static void Finish(CommandContext context, JsonObject json, ContinualScores scores, string output) =>
        context.Finish(
            json,
            terminal =>
            {
                Print(terminal, ContinualTable.Columns(scores, "loss"), ContinualTable.Losses(scores));
                if (ContinualTable.HasExactMatch(scores))
                    Print(terminal, ContinualTable.Columns(scores, "exact match"), ContinualTable.ExactMatches(scores));
                terminal.Line("");
                Print(terminal, ContinualTable.MeasureColumns, ContinualTable.Measures(scores));
                terminal.Line($"written to {output}");
            }
        );

    private static void Print(Terminal terminal, IReadOnlyList<string> columns, IReadOnlyList<PageCell[]> rows) =>
        terminal.Table(columns, [.. rows.Select(row => (string[])[.. row.Select(cell => cell.Text)])]);
}
