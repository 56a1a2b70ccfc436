using System.CommandLine;
using System.Text.Json.Nodes;
using Spectral.Cli.Hosting;
using Spectral.Training.IO;
using Spectral.Training.Optim;
using Spectral.Training.Settings;

namespace Spectral.Cli.Options;

/// <summary>
/// --optimizer, or --optimizers in a comparison, and the optimizers' own settings among the values of --set.
/// </summary>
/// <param name="settings">The option --set.</param>
/// <param name="several">Whether several may be named.</param>
internal sealed class OptimizerOption(SettingsOption settings, bool several)
{
    /// <summary>The word before the point in names of an optimizer's settings.</summary>
    public const string Group = "optimizer";

    /// <summary>The sentence on an optimizer's settings in the help of --set.</summary>
    public const string SettingsHelp =
        "optimizer.NAME=VALUE is a setting of the optimizer; `spectral methods --optimizers NAME` lists its settings.";

    /// <summary>The options that only some optimizers read.</summary>
    public static IReadOnlyList<(string Name, OptimizerUses Use)> Names { get; } =
    [
        ("--weight-decay", OptimizerUses.WeightDecay),
        ("--beta1", OptimizerUses.Beta1),
        ("--beta2", OptimizerUses.Beta2),
        ("--eps", OptimizerUses.Epsilon),
        ("--grad-clip", OptimizerUses.GradientClip),
        ("--clip-groups", OptimizerUses.GradientClip),
    ];

    /// <summary>Returns whether at least one of some optimizers reads an option.</summary>
    public static bool IsRead(Option option, params IReadOnlyList<OptimizerMethod> among) =>
        Names.All(common => common.Name != option.Name || among.Any(method => method.Uses.HasFlag(common.Use)));

    /// <summary>The option that names one optimizer or several.</summary>
    public Option<string> Name { get; } =
        new(several ? "--optimizers" : "--optimizer")
        {
            Description = several
                ? "Optimizers, separated by commas: each method is trained with each of them."
                : "Optimizer; `spectral methods --optimizers` lists them.",
            HelpName = several ? "NAMES" : "NAME",
            DefaultValueFactory = _ => OptimizerChoice.Default,
            CustomParser = several ? OptimizerNames.Several : OptimizerNames.One,
        };

    /// <summary>Returns the optimizers that are named, each with the settings that are given and that it has.</summary>
    /// <exception cref="InputException">
    /// None of them has a setting of that name, or its value is out of range.
    /// </exception>
    public OptimizerChoice[] Read(CommandContext context)
    {
        OptimizerMethod[] among = [.. OptionTypes.Entries(context.Get(Name)).Select(OptimizerMethods.Find)];
        string[] known = [.. among.SelectMany(method => method.Settings).Select(setting => setting.Name).Distinct()];
        string owner = string.Join(", ", among.Select(method => method.Name));
        (string Name, string Value)[] given = [.. settings.Read(context, owner, known, Group)];
        return
        [
            .. among.Select(method => new OptimizerChoice(method.Name)
            {
                Settings = given
                    .Where(pair => method.Settings.Any(setting => setting.Name == pair.Name))
                    .ToDictionary(
                        pair => pair.Name,
                        pair => method.Settings.First(setting => setting.Name == pair.Name).Parse(pair.Value)
                    ),
            }),
        ];
    }

    /// <summary>Refuses an option that none of the optimizers reads.</summary>
    /// <exception cref="InputException">An option that is given would change nothing.</exception>
    public static void RefuseUnused(
        CommandContext context,
        IEnumerable<Option> options,
        params IReadOnlyList<OptimizerMethod> among
    )
    {
        if (options.FirstOrDefault(option => context.IsGiven(option) && !IsRead(option, among)) is not { } unused)
            return;
        string who = among.Count == 1 ? among[0].Name : "each of these optimizers";
        throw new InputException(
            $"{unused.Name} \"{context.Text(unused)}\": {who} does not read it, so it would change nothing"
        );
    }

    /// <summary>Returns the rows that describe an optimizer in a table of settings.</summary>
    public static IEnumerable<(string Name, string Value)> Describe(OptimizerChoice choice)
    {
        OptimizerMethod method = OptimizerMethods.Find(choice.Name);
        return Values(choice)
            .Select(pair => ($"{Group}.{pair.Setting.Name}", pair.Setting.Describe(pair.Value)))
            .Prepend((Group, $"{method.Name}: {method.Summary}"));
    }

    /// <summary>Returns all settings that an optimizer has of its own, for --json.</summary>
    public static JsonObject Json(OptimizerChoice choice)
    {
        var json = new JsonObject();
        foreach ((Setting setting, double value) in Values(choice))
            json[setting.Name] = setting.Choices.Count > 0 ? setting.Describe(value) : value;
        return json;
    }

    private static IEnumerable<(Setting Setting, double Value)> Values(OptimizerChoice choice) =>
        OptimizerMethods
            .Find(choice.Name)
            .Settings.Select(setting => (setting, choice.Settings.GetValueOrDefault(setting.Name, setting.Default)));
}
