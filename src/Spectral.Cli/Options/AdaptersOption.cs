using System.CommandLine;
using Spectral.Cli.Hosting;
using Spectral.Training.Adapters;
using Spectral.Training.IO;
using Spectral.Training.Models;

namespace Spectral.Cli.Options;

/// <summary>
/// --adapter DIR or --adapter NAME=DIR, once for each of several adapters of the model. Records name theirs if there
/// are several, or if one has a name on the command line.
/// </summary>
/// <param name="help">What one adapter is for, in the help text.</param>
internal sealed class AdaptersOption(string help)
{
    private const string Name = "--adapter";

    public Option<string[]> Option { get; } =
        new(Name)
        {
            Description = help,
            HelpName = "[NAME=]DIR",
            CustomParser = result =>
            {
                string[] values = [.. result.Tokens.Select(token => token.Value)];
                if (values.FirstOrDefault(value => value.Length == 0 || value.Contains('\0')) is { } odd)
                    result.AddError(OptionTypes.Complaint(Name, odd, "a folder, or a name, = and a folder"));
                return values;
            },
        };

    /// <summary>Returns the folder of the adapter that is for all records; null: there is none, or a set.</summary>
    public string? Single(CommandContext context) =>
        context.Get(Option) is [var only] && Parse(only).Name is null ? only : null;

    /// <summary>Returns the adapters among which records choose; null: there is one for all, or none.</summary>
    /// <exception cref="InputException">Two adapters have the same name.</exception>
    public IReadOnlyList<(string Name, string Directory)>? Set(CommandContext context)
    {
        if (context.Get(Option) is not { Length: > 0 } given || Single(context) is not null)
            return null;
        (string Name, string Directory)[] named =
        [
            .. given
                .Select(Parse)
                .Select(adapter => (adapter.Name ?? FolderName(adapter.Directory), adapter.Directory)),
        ];
        if (named.GroupBy(adapter => adapter.Name).FirstOrDefault(same => same.Count() > 1) is { } twice)
        {
            throw new InputException(
                $"{Name}: two adapters are called {InputText.Quote(twice.Key)}; expected a name for each, as in "
                    + $"{Name} first={twice.First().Directory}"
            );
        }

        return named;
    }

    /// <summary>Attaches all adapters of the set to a model.</summary>
    /// <exception cref="InputException">An adapter is malformed or of another base.</exception>
    public static AdapterSet Attach(CausalLanguageModel model, IReadOnlyList<(string Name, string Directory)> adapters)
    {
        AdapterSet set = new(model);
        try
        {
            foreach ((string name, string directory) in adapters)
                set.Add(name, directory);
            return set;
        }
        catch
        {
            set.Dispose();
            throw;
        }
    }

    // A folder may have "=" in its name.
    private static (string? Name, string Directory) Parse(string given)
    {
        int equals = given.IndexOf('=');
        return equals < 1 || equals == given.Length - 1 || Directory.Exists(given)
            ? (null, given)
            : (given[..equals], given[(equals + 1)..]);
    }

    private static string FolderName(string directory) => Path.GetFileName(Path.GetFullPath(directory).TrimEnd('/'));
}
