using System.CommandLine;
using Spectral.Cli.Hosting;
using Spectral.Training.IO;

namespace Spectral.Cli.Options;

/// <summary>--set NAME=VALUE: settings that only some methods have.</summary>
internal sealed class SettingsOption
{
    private const string Name = "--set";

    private readonly string[] _groups;

    /// <param name="help">Whose settings they are, and what lists them.</param>
    /// <param name="groups">The words that a name may have before a point, for settings of something else.</param>
    public SettingsOption(string help, params string[] groups)
    {
        _groups = groups;
        Option = new(Name)
        {
            Description = help,
            HelpName = "NAME=VALUE",
            // Of other options only the last value given counts; of this one every value does.
            CustomParser = result =>
            {
                string[] values = [.. result.Tokens.Select(token => token.Value)];
                if (values.FirstOrDefault(value => value.IndexOf('=') < 1) is { } odd)
                    result.AddError(OptionTypes.Complaint(Name, odd, "NAME=VALUE"));
                return values;
            },
        };
    }

    public Option<string[]> Option { get; }

    /// <summary>Refuses names without a group, in a command where all settings belong to one.</summary>
    /// <exception cref="InputException">Such a name is given.</exception>
    public void RequireGroups(CommandContext context)
    {
        string[] given = context.Get(Option) ?? [];
        if (
            given.FirstOrDefault(one => !_groups.Any(word => one.StartsWith(word + ".", StringComparison.Ordinal))) is
            { } odd
        )
        {
            throw new InputException(
                $"{Name} \"{odd}\": expected a name that begins with "
                    + string.Join(" or ", _groups.Select(word => word + "."))
            );
        }
    }

    /// <summary>Returns the first setting of a group as it is given; null: there is none.</summary>
    public string? First(CommandContext context, string group) =>
        (context.Get(Option) ?? []).FirstOrDefault(one => one.StartsWith(group + ".", StringComparison.Ordinal));

    /// <summary>Returns the names and values that are given, without those of other groups.</summary>
    /// <param name="context">The command line.</param>
    /// <param name="owner">Who has the settings, for messages.</param>
    /// <param name="known">The names that may be given.</param>
    /// <param name="group">The word before the point of the settings wanted; null: those without one.</param>
    /// <exception cref="InputException">Another name is given.</exception>
    public IEnumerable<(string Name, string Value)> Read(
        CommandContext context,
        string owner,
        IReadOnlyCollection<string> known,
        string? group = null
    )
    {
        foreach (string given in context.Get(Option) ?? [])
        {
            int equals = given.IndexOf('=');
            string name = given[..equals];
            if (_groups.FirstOrDefault(word => name.StartsWith(word + ".", StringComparison.Ordinal)) != group)
                continue;
            name = name[(group is null ? 0 : group.Length + 1)..];
            if (!known.Contains(name))
            {
                throw new InputException(
                    $"{Name} \"{given}\": "
                        + (
                            known.Count == 0
                                ? $"{owner} has no settings of its own"
                                : $"expected one of the settings of {owner}: {string.Join(", ", known)}"
                        )
                );
            }

            yield return (name, given[(equals + 1)..]);
        }
    }
}
