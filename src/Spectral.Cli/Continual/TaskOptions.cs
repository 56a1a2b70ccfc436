using System.CommandLine;
using Spectral.Cli.Hosting;
using Spectral.Cli.Options;
using Spectral.Training.IO;

namespace Spectral.Cli.Continual;

/// <summary>--task TASK=DIR and --eval TASK=FILE: the tasks, in the order of training.</summary>
internal sealed class TaskOptions
{
    private const string Trained = "train.jsonl";
    private const string HeldOut = "eval.jsonl";

    private readonly TaskFilesOption _tasks = new(
        "--task",
        $"A task: a folder with {Trained} and {HeldOut}, or a file of records to train on, which needs --eval. Given "
            + "once for each task, in the order of training; without a name, a task is called like its path.",
        "DIR|FILE"
    );
    private readonly TaskFilesOption _evaluation = new(
        "--eval",
        $"Held-out records of a task, in place of {HeldOut} in its folder.",
        "FILE"
    );

    public TaskOptions() => _tasks.Option.Required = true;

    public Option<string[]> Tasks => _tasks.Option;

    public Option<string[]> Evaluation => _evaluation.Option;

    /// <summary>Returns the tasks in the order of training.</summary>
    /// <exception cref="InputException">
    /// A name cannot be that of a folder, a task lacks a file, or --eval names no task.
    /// </exception>
    public TaskFiles[] Read(CommandContext context)
    {
        (string Task, string Path)[] tasks = _tasks.Read(context);
        Dictionary<string, string> heldOut = _evaluation
            .Read(context)
            .ToDictionary(given => given.Task, given => given.Path);
        if (tasks.FirstOrDefault(task => !IsFolderName(task.Task)) is { Task: { } odd })
        {
            throw new InputException(
                $"--task: a task is called \"{odd}\"; expected letters, digits, \"-\", \"_\" and \".\", as it names a "
                    + "folder"
            );
        }

        if (heldOut.Keys.Except(tasks.Select(task => task.Task)).FirstOrDefault() is { } unknown)
        {
            throw new InputException(
                $"--eval: there is no task \"{unknown}\"; expected one of "
                    + string.Join(", ", tasks.Select(task => task.Task))
            );
        }

        return [.. tasks.Select(task => Read(task.Task, task.Path, heldOut.GetValueOrDefault(task.Task)))];
    }

    private static TaskFiles Read(string name, string path, string? heldOut)
    {
        if (Directory.Exists(path))
            return new TaskFiles(name, Path.Combine(path, Trained), heldOut ?? Path.Combine(path, HeldOut));
        return heldOut is not null
            ? new TaskFiles(name, path, heldOut)
            : throw new InputException(
                $"--task {name}={path}: "
                    + (
                        File.Exists(path)
                            ? $"a file has no held-out records; expected --eval {name}=FILE with it, or a folder with "
                                + $"{Trained} and {HeldOut}"
                            : "no such file or folder"
                    )
            );
    }

    private static bool IsFolderName(string name) =>
        name.Length is > 0 and <= 100
        && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.')
        && name.Any(c => c != '.');
}
