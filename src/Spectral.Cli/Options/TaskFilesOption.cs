using System.CommandLine;
using Spectral.Cli.Hosting;
using Spectral.Training.IO;

namespace Spectral.Cli.Options;

/// <summary>--eval TASK=FILE, once for each task on which merges are measured.</summary>
internal sealed class TaskFilesOption
{
    private const string Name = "--eval";

    public Option<string[]> Option { get; } =
        new(Name)
        {
            Description =
                "Measure base, inputs and result on the records of a task; may be given several times. The gain of a "
                + "task is that of the best single input on it.",
            HelpName = "TASK=FILE",
            CustomParser = result =>
            {
                string[] values = [.. result.Tokens.Select(token => token.Value)];
                if (values.FirstOrDefault(value => value.Length == 0 || value.Contains('\0')) is { } odd)
                    result.AddError(OptionTypes.Complaint(Name, odd, "TASK=FILE, or a file"));
                return values;
            },
        };

    /// <summary>Returns the names of the tasks and their files.</summary>
    /// <exception cref="InputException">Two tasks have one name.</exception>
    public (string Task, string File)[] Read(CommandContext context)
    {
        (string Task, string File)[] tasks = [.. (context.Get(Option) ?? []).Select(Parse)];
        if (tasks.CountBy(task => task.Task).FirstOrDefault(count => count.Value > 1) is { Key: { } twice })
            throw new InputException($"{Name}: two tasks are called \"{twice}\"; expected a name of its own for each");
        return tasks;
    }

    // A file may have "=" in its name; without a name, the task is called like the file.
    private static (string Task, string File) Parse(string given)
    {
        int equals = given.IndexOf('=');
        return equals < 1 || equals == given.Length - 1 || File.Exists(given)
            ? (Path.GetFileNameWithoutExtension(given), given)
            : (given[..equals], given[(equals + 1)..]);
    }
}
