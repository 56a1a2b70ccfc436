using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using Spectral.Cli.Hosting;
using Spectral.Cli.Merging;
using Spectral.Cli.Options;
using Spectral.Cli.Output;
using Spectral.Kernels;
using Spectral.Training.IO;
using Spectral.Training.Merging;

namespace Spectral.Cli.Commands;

/// <summary>
/// <c>spectral merge --method NAME|all --eval TASK=FILE</c>: measures the base, each input and each merge on tasks.
/// </summary>
/// <param name="conversion">The options that it shares with folding one adapter.</param>
internal sealed class MergeScoring(AdapterConversion conversion)
{
    private readonly TaskFilesOption _tasks = new(
        "--eval",
        "Measure base, inputs and result on the records of a task; may be given several times. The gain of a task is "
            + "that of the best single input on it.",
        "FILE"
    );
    private readonly Option<string?> _page = OptionTypes.Path(
        "--page",
        "HTML page to write with the table of --eval; it is replaced after each merge.",
        "FILE"
    );

    public Option[] Options => [_tasks.Option, _page];

    public bool IsGiven(CommandContext context) => context.IsGiven(_tasks.Option);

    /// <summary>Refuses options that have no effect without --eval.</summary>
    /// <exception cref="InputException">One is given.</exception>
    public void Refuse(CommandContext context) => context.RefuseWithout("--eval TASK=FILE", _page);

    /// <summary>
    /// Measures merges. Results that --out does not name are written to a temporary folder and removed.
    /// </summary>
    /// <param name="context">The command line.</param>
    /// <param name="loaded">The base.</param>
    /// <param name="inputs">The inputs of every merge.</param>
    /// <param name="form">What results are written as.</param>
    /// <param name="methods">
    /// The methods and their options. Of several, one that cannot merge the inputs is left out.
    /// </param>
    /// <param name="read">The folders and files that are read.</param>
    /// <param name="evaluation">The batch and the longest record.</param>
    /// <exception cref="InputException">An input or an option is not valid, or no method can merge.</exception>
    public void Execute(
        CommandContext context,
        ModelInputs loaded,
        IReadOnlyList<MergeInput> inputs,
        ResultForm form,
        IReadOnlyList<ChosenMethod> methods,
        string[] read,
        EvaluationOptions evaluation
    )
    {
        bool several = methods.Count > 1;
        (string Task, string Path)[] files = _tasks.Read(context);
        read = [.. read, .. files.Select(file => file.Path)];
        using IOutput? target = Target(context, several, read);
        using OutputFile? page = context.Get(_page) is { } path
            ? new OutputFile("--page", path, context.Get(conversion.Overwrite), read)
            : null;
        using Device device = conversion.Device.Open(context);
        MergeTrials trials = new()
        {
            Base = loaded,
            Inputs = inputs,
            Methods = methods,
            Form = form,
            Device = device,
            Target = target,
        };
        context.Warn(trials.Probe());
        MergeTask[] tasks =
        [
            .. files.Select(file => new MergeTask(file.Task, file.Path, evaluation.Encode(context, loaded, file.Path))),
        ];
        target?.Claim();
        page?.Claim();
        long start = Stopwatch.GetTimestamp();
        var scores = new MergeScores(tasks);
        var scorer = new MergeScorer(loaded, device, tasks, context.Get(evaluation.Batch), context.Cancellation);
        context.Terminal.Track(
            "measuring",
            trials.Count,
            progress =>
            {
                trials.Run(scorer, scores, progress, WritePage, context.Cancellation);
                return true;
            }
        );
        if (scores.Merges.Count == 0)
            throw new InputException("--method \"all\": no method merges these inputs with these options");
        var result = new JsonObject
        {
            ["out"] = target?.FullPath,
            ["method"] = several ? MethodMerge.Every : methods[0].Method.Name,
            ["page"] = page?.FullPath,
            ["seconds"] = JsonOutput.Number(Stopwatch.GetElapsedTime(start).TotalSeconds),
            ["device"] = device.ToString(),
            ["evaluation"] = scores.ToJson(),
        };
        trials.Made?.Describe(result, form);
        context.Finish(
            result,
            terminal =>
            {
                Print(terminal, scores);
                if (target is not null)
                    trials.Made?.Print(terminal, target.FullPath);
                if (page is not null)
                    terminal.Line($"written to {page.FullPath}");
            }
        );
        trials.Made?.Warn(context.Terminal);

        void WritePage()
        {
            if (page is null)
                return;
            string html = MergeScorePage.Render(
                $"Merges on {Path.GetFileName(loaded.Folder.Directory)}",
                scores,
                Settings(context, files, inputs, evaluation)
            );
            page.Write(html);
        }
    }

    private IOutput? Target(CommandContext context, bool several, string[] read)
    {
        if (!context.IsGiven(conversion.Out))
            return null;
        return several
            ? throw new InputException(
                $"--out \"{context.Get(conversion.Out)}\": with --method all, results are measured and removed; "
                    + "expected no --out, or the name of one method"
            )
            : conversion.Target(context, read);
    }

    private static IEnumerable<(string, string)> Settings(
        CommandContext context,
        (string Task, string Path)[] files,
        IReadOnlyList<MergeInput> inputs,
        EvaluationOptions evaluation
    ) =>
        [
            .. inputs.Select((input, i) => ($"input {i + 1}", Described(input))),
            .. files.Select(file => ($"task {file.Task}", file.Path)),
            .. evaluation.All.Select(option => (option.Name[2..], context.Text(option))),
        ];

    private static string Described(MergeInput input) =>
        input.Weight is { } weight
            ? string.Create(CultureInfo.InvariantCulture, $"{input.Directory}, weight {weight}")
            : input.Directory;

    private static void Print(Terminal terminal, MergeScores scores)
    {
        terminal.Table(
            MergeScoreTable.Columns(scores),
            [.. MergeScoreTable.Rows(scores).Select(row => (string[])[.. row.Select(cell => cell.Text)])]
        );
        foreach ((string method, string reason) in scores.LeftOut)
            terminal.Line($"{method} is left out: {reason}");
    }
}
