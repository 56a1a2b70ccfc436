using System.CommandLine;
using Spectral.Cli.Hosting;
using Spectral.Training.Adapters;
using Spectral.Training.IO;

namespace Spectral.Cli.Options;

/// <summary>--soft-prompt, and the prompt's own settings among the values of --set.</summary>
/// <param name="settings">The option --set.</param>
internal sealed class SoftPromptOption(SettingsOption settings)
{
    /// <summary>The word before the point in names of the prompt's settings.</summary>
    public const string Group = "soft-prompt";

    private const string None = "none";

    /// <summary>The option that names the method of the prompt.</summary>
    public Option<string> Name { get; } =
        OptionTypes.Choice(
            "--soft-prompt",
            "Soft prompt to train beside the adapter of layers; its settings are given as --set "
                + "soft-prompt.NAME=VALUE.",
            None,
            [None, .. AdapterMethods.All.OfType<PromptMethod>().Select(method => method.Name)]
        );

    /// <summary>Returns the prompt that is named; null: none is.</summary>
    /// <param name="context">The command line.</param>
    /// <param name="method">The method of the adapter beside which it stands.</param>
    /// <exception cref="InputException">
    /// There is no such soft prompt, it has no such setting, or the method is one itself.
    /// </exception>
    public SoftPrompt? Read(CommandContext context, AdapterMethod method)
    {
        string? name = context.Get(Name); // null in commands without the option
        if (name is null or None)
        {
            return settings.First(context, Group) is { } given
                ? throw new InputException($"--set \"{given}\": expected {Name.Name} with it")
                : null;
        }

        AdapterMethod prompt = AdapterMethods.Find(name);
        if (method.PromptBeside(new AdapterOptions()) is { } own)
        {
            throw new InputException(
                $"{Name.Name} \"{name}\": {method.Name} has a prompt of its own ({own.Method.Name}), expected no "
                    + Name.Name
            );
        }

        var values = new Dictionary<string, double>();
        string[] known = [.. prompt.Settings.Select(setting => setting.Name)];
        foreach ((string setting, string value) in settings.Read(context, prompt.Name, known, Group))
            values[setting] = prompt.Settings.First(one => one.Name == setting).Parse(value);
        return new SoftPrompt(prompt, new AdapterOptions { Settings = values });
    }
}
