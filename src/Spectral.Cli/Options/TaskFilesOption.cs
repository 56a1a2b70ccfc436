using System.CommandLine;
using Spectral.Cli.Hosting;
using Spectral.Training.IO;

namespace Spectral.Cli.Options;

/// <summary>An option TASK=PATH that is given once for each task, such as merge's --eval.</summary>
/// <param name="name">The name of the option.</param>
/// <param name="description">The text for the help.</param>
/// <param name="path">What the paths name: FILE, or DIR.</param>
internal sealed class TaskFilesOption(string name, string description, string path)
{
    public Option<string[]> Option { get; } =
        new(name)
        {
            Description = description,
            HelpName = $"TASK={path}",
            CustomParser = result =>
            {
                string[] values = [.. result.Tokens.Select(token => token.Value)];
                if (values.FirstOrDefault(value => value.Length == 0 || value.Contains('\0')) is { } odd)
                    result.AddError(OptionTypes.Complaint(name, odd, $"TASK={path}, or a path alone"));
                return values;
            },
        };

    /// <summary>Returns the names of the tasks and their paths, in the order given.</summary>
    /// <exception cref="InputException">Two tasks have one name.</exception>
    public (string Task, string Path)[] Read(CommandContext context)
    {
        (string Task, string Path)[] tasks = [.. (context.Get(Option) ?? []).Select(Parse)];
        if (tasks.CountBy(task => task.Task).FirstOrDefault(count => count.Value > 1) is { Key: { } twice })
            throw new InputException($"{name}: two tasks are called \"{twice}\"; expected a name of its own for each");
        return tasks;
    }

    // A path may have "=" in it; without a name, the task is called like the file or folder.
    private static (string Task, string Path) Parse(string given)
    {
        int equals = given.IndexOf('=');
        return equals < 1 || equals == given.Length - 1 || Path.Exists(given)
            ? (Path.GetFileNameWithoutExtension(Path.TrimEndingDirectorySeparator(given)), given)
            : (given[..equals], given[(equals + 1)..]);
    }
}
