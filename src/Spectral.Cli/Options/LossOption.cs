using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Spectral.Cli.Hosting;
using Spectral.Training.IO;
using Spectral.Training.Objectives;
using Spectral.Training.Settings;

namespace Spectral.Cli.Options;

/// <summary>--loss and --beta, and the losses' other settings among the values of --set.</summary>
/// <param name="settings">The option --set.</param>
internal sealed class LossOption(SettingsOption settings)
{
    /// <summary>The word before the point in names of a loss's settings.</summary>
    public const string Group = "loss";

    /// <summary>The sentence on a loss's settings in the help of --set.</summary>
    public const string SettingsHelp =
        "loss.NAME=VALUE is a setting of the loss; `spectral methods --losses NAME` lists its settings.";

    /// <summary>The option that names the loss.</summary>
    public Option<string> Name { get; } =
        new("--loss")
        {
            Description =
                "Loss; all but cross-entropy take pairs, {\"prompt\", \"chosen\", \"rejected\"}. "
                + "`spectral methods --losses` lists them.",
            HelpName = string.Join('|', LossMethods.All.Select(method => method.Name)),
            DefaultValueFactory = _ => LossChoice.Default,
            CustomParser = LossNames.One,
        };

    /// <summary>The option for the setting that all losses on pairs have.</summary>
    public Option<double?> Beta { get; } =
        OptionTypes.OptionalNumber(
            "--beta",
            $"Strength of a loss on pairs, the same as --set loss.beta=X. [default: {Defaults()}]",
            x => x > 0,
            "a number above 0"
        );

    /// <summary>Both options.</summary>
    public Option[] All => [Name, Beta];

    /// <summary>Returns whether the loss takes pairs.</summary>
    public bool TakesPairs(CommandContext context) => LossMethods.Find(context.Get(Name)).TakesPairs;

    /// <summary>Returns which records the loss takes.</summary>
    public RecordKind Takes(CommandContext context) =>
        LossMethods.Find(context.Get(Name)) switch
        {
            { TakesLabels: true } => RecordKind.Answers,
            { TakesPairs: true } => RecordKind.Pairs,
            _ => RecordKind.Texts,
        };

    /// <summary>Returns the loss with the settings that are given.</summary>
    /// <exception cref="InputException">It has no setting of that name, or a value is out of range.</exception>
    public LossChoice Read(CommandContext context)
    {
        LossMethod method = LossMethods.Find(context.Get(Name));
        var given = new Dictionary<string, double>();
        string[] known = [.. method.Settings.Select(setting => setting.Name)];
        foreach ((string name, string value) in settings.Read(context, method.Name, known, Group))
            given[name] = method.Settings.First(setting => setting.Name == name).Parse(value);
        if (context.Get(Beta) is { } beta)
        {
            if (method.Settings.FirstOrDefault(setting => setting.Name == LossMethod.Beta) is not { } setting)
            {
                throw new InputException(
                    $"--beta \"{context.Text(Beta)}\": {method.Name} does not read it, so it would change nothing"
                );
            }

            if (given.ContainsKey(LossMethod.Beta))
                throw new InputException("--beta and --set loss.beta: expected one of the two");
            if (!setting.Allows(beta))
                throw new InputException(OptionTypes.Complaint("--beta", context.Text(Beta), setting.Expected));
            given[LossMethod.Beta] = beta;
        }

        return new LossChoice(method.Name) { Settings = given };
    }

    /// <summary>Refuses the option that says which turns of conversations count, which pairs do not read.</summary>
    /// <exception cref="InputException">It is given, and the loss takes pairs.</exception>
    public void RefuseUnused(CommandContext context, TrainOnOption trainOn)
    {
        if (!TakesPairs(context) || !context.IsGiven(trainOn.Option))
            return;
        throw new InputException(
            $"{trainOn.Option.Name} \"{context.Text(trainOn.Option)}\": of pairs the answers count: expected no "
                + $"{trainOn.Option.Name} with --loss {context.Get(Name)}"
        );
    }

    /// <summary>Returns the rows that describe a loss in a table of settings; none for cross-entropy.</summary>
    public static IEnumerable<(string Name, string Value)> Describe(LossChoice choice)
    {
        LossMethod method = LossMethods.Find(choice.Name);
        return method.TakesPairs
            ? Values(choice)
                .Select(pair => ($"{Group}.{pair.Setting.Name}", pair.Setting.Describe(pair.Value)))
                .Prepend((Group, $"{method.Name}: {method.Summary}"))
            : [];
    }

    /// <summary>Returns all settings of a loss, for --json.</summary>
    public static JsonObject Json(LossChoice choice)
    {
        var json = new JsonObject();
        foreach ((Setting setting, double value) in Values(choice))
            json[setting.Name] = value;
        return json;
    }

    private static IEnumerable<(Setting Setting, double Value)> Values(LossChoice choice) =>
        LossMethods
            .Find(choice.Name)
            .Settings.Select(setting => (setting, choice.Settings.GetValueOrDefault(setting.Name, setting.Default)));

    private static string Defaults() =>
        string.Join(
            ", ",
            LossMethods
                .All.SelectMany(method => method.Settings.Select(setting => (method.Name, Setting: setting)))
                .Where(pair => pair.Setting.Name == LossMethod.Beta)
                .GroupBy(pair => pair.Setting.Default)
                .Select(group =>
                    group.Key.ToString(CultureInfo.InvariantCulture)
                    + $" for {string.Join(", ", group.Select(pair => pair.Name))}"
                )
        );
}
