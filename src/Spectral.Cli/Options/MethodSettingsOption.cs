using System.CommandLine;
using Spectral.Cli.Hosting;
using Spectral.Training.Adapters;
using Spectral.Training.IO;

namespace Spectral.Cli.Options;

/// <summary>--set: settings that an adapter method has of its own, and in training those of other choices.</summary>
internal sealed class MethodSettingsOption
{
    /// <param name="trains">Whether the command trains, so that those of optimizer and loss may be given too.</param>
    public MethodSettingsOption(bool trains) =>
        All = trains
            ? new SettingsOption(
                $"{Help} {OptimizerOption.SettingsHelp} {LossOption.SettingsHelp}",
                OptimizerOption.Group,
                LossOption.Group,
                SoftPromptOption.Group
            )
            : new SettingsOption(Help, SoftPromptOption.Group);

    private const string Help =
        "A setting of the adapter method; may be given several times. `spectral methods --adapter NAME` lists "
        + "the settings.";

    /// <summary>The option with all its values.</summary>
    public SettingsOption All { get; }

    public Option<string[]> Option => All.Option;

    /// <summary>Returns the settings that are given and that a method has.</summary>
    /// <param name="context">The command line.</param>
    /// <param name="method">The method.</param>
    /// <param name="among">All methods that the settings are given for.</param>
    /// <exception cref="InputException">None of these methods has a setting of that name, or its value is out of
    /// range.</exception>
    public Dictionary<string, double> Read(
        CommandContext context,
        AdapterMethod method,
        IReadOnlyList<AdapterMethod> among
    )
    {
        var values = new Dictionary<string, double>();
        string[] known = [.. among.SelectMany(other => other.Settings).Select(setting => setting.Name).Distinct()];
        string owner =
            among.Count == 1 || known.Length == 0 ? string.Join(", ", among.Select(one => one.Name)) : "these methods";
        foreach ((string name, string value) in All.Read(context, owner, known))
        {
            if (method.Settings.FirstOrDefault(setting => setting.Name == name) is { } found)
                values[name] = found.Parse(value);
        }
        return values;
    }
}
