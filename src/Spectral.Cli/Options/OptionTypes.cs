using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using Spectral.Training.Adapters;

namespace Spectral.Cli.Options;

/// <summary>
/// Makes options whose values are checked while they are parsed: an error is one line that names the option, the value
/// and what was expected. Numbers are read with the invariant culture, whatever the machine's locale.
/// </summary>
internal static class OptionTypes
{
    public static Option<int> Integer(
        string name,
        string help,
        int fallback,
        int minimum,
        int maximum = int.MaxValue
    ) =>
        new(name)
        {
            Description = help,
            HelpName = "N",
            DefaultValueFactory = _ => fallback,
            CustomParser = result => ParseInteger(result, name, minimum, maximum) ?? fallback,
        };

    /// <summary>Makes an option for a whole number that has no default; it is null if not given.</summary>
    public static Option<int?> OptionalInteger(string name, string help, int minimum, int maximum = int.MaxValue) =>
        new(name)
        {
            Description = help,
            HelpName = "N",
            CustomParser = result => ParseInteger(result, name, minimum, maximum),
        };

    public static Option<ulong> Seed(string help) =>
        new("--seed")
        {
            Description = help,
            HelpName = "N",
            DefaultValueFactory = _ => 0,
            CustomParser = result =>
            {
                if (ulong.TryParse(Value(result), NumberStyles.None, CultureInfo.InvariantCulture, out ulong seed))
                    return seed;
                result.AddError(Complaint("--seed", Value(result), "a whole number of at least 0"));
                return 0;
            },
        };

    /// <summary>Makes an option for a number.</summary>
    /// <param name="name">The option.</param>
    /// <param name="help">Its line in the help text.</param>
    /// <param name="fallback">The default.</param>
    /// <param name="accepts">Which finite numbers are valid; NaN and infinities never are.</param>
    /// <param name="expectation">What is expected, in words.</param>
    public static Option<double> Number(
        string name,
        string help,
        double fallback,
        Func<double, bool> accepts,
        string expectation
    ) =>
        new(name)
        {
            Description = help,
            HelpName = "X",
            DefaultValueFactory = _ => fallback,
            CustomParser = result => ParseNumber(result, name, accepts, expectation) ?? fallback,
        };

    /// <summary>Makes an option for a number that has no default; it is null if not given.</summary>
    /// <inheritdoc cref="Number"/>
    public static Option<double?> OptionalNumber(
        string name,
        string help,
        Func<double, bool> accepts,
        string expectation
    ) =>
        new(name)
        {
            Description = help,
            HelpName = "X",
            CustomParser = result => ParseNumber(result, name, accepts, expectation),
        };

    public static Option<string> Choice(string name, string help, string fallback, params string[] choices)
    {
        var option = new Option<string>(name)
        {
            Description = help,
            HelpName = string.Join('|', choices),
            DefaultValueFactory = _ => fallback,
            CustomParser = result =>
            {
                string value = Value(result);
                if (!choices.Contains(value))
                    result.AddError(Complaint(name, value, "one of " + string.Join(", ", choices)));
                return value;
            },
        };
        option.CompletionSources.Add(choices);
        return option;
    }

    /// <summary>Makes an option for a list of entries, separated by commas, none of which is empty.</summary>
    /// <param name="name">The option.</param>
    /// <param name="help">Its line in the help text.</param>
    /// <param name="placeholder">The name of the entries in the help text.</param>
    /// <param name="expectation">What is expected, with an example.</param>
    /// <param name="fallback">The default.</param>
    /// <param name="parse">Splits the list into entries; null splits it at every comma.</param>
    public static Option<string> List(
        string name,
        string help,
        string placeholder,
        string expectation,
        string fallback = "",
        Func<string, IReadOnlyList<string>>? parse = null
    ) =>
        new(name)
        {
            Description = help,
            HelpName = placeholder,
            DefaultValueFactory = _ => fallback,
            CustomParser = result =>
            {
                string value = Value(result);
                if ((parse ?? Entries)(value).Contains(""))
                    result.AddError(Complaint(name, value, expectation));
                return value;
            },
        };

    /// <summary>Makes the option for the target modules, by default all projections.</summary>
    public static Option<string> Targets(string help) =>
        List(
            "--target",
            help,
            "NAMES",
            "names of layers, such as q_proj,v_proj",
            string.Join(',', AdapterOptions.AllProjections),
            AdapterTargets.Parse
        );

    /// <summary>Splits a list at its commas and trims the entries.</summary>
    public static string[] Entries(string list) => list.Split(',', StringSplitOptions.TrimEntries);

    public static Option<string?> Path(string name, string help, string placeholder) =>
        new(name)
        {
            Description = help,
            HelpName = placeholder,
            CustomParser = result => ParsePath(result, name),
        };

    public static Option<string> RequiredPath(string name, string help, string placeholder) =>
        new(name)
        {
            Description = help,
            HelpName = placeholder,
            Required = true,
            CustomParser = result => ParsePath(result, name),
        };

    public static Option<string> RequiredText(string name, string help) =>
        new(name)
        {
            Description = help,
            HelpName = "TEXT",
            Required = true,
            CustomParser = Value,
        };

    public static Option<string?> OptionalText(string name, string help, string placeholder) =>
        new(name)
        {
            Description = help,
            HelpName = placeholder,
            CustomParser = Value,
        };

    public static Option<bool> Flag(string name, string help) => new(name) { Description = help };

    public static string Complaint(string name, string value, string expectation) =>
        $"{name} \"{value}\": expected {expectation}";

    private static string ParsePath(ArgumentResult result, string name)
    {
        string value = Value(result);
        if (value.Length == 0 || value.Contains('\0'))
            result.AddError(Complaint(name, value, "a path"));
        return value;
    }

    private static double? ParseNumber(
        ArgumentResult result,
        string name,
        Func<double, bool> accepts,
        string expectation
    )
    {
        if (
            double.TryParse(Value(result), NumberStyles.Float, CultureInfo.InvariantCulture, out double number)
            && double.IsFinite(number)
            && accepts(number)
        )
        {
            return number;
        }

        result.AddError(Complaint(name, Value(result), expectation));
        return null;
    }

    private static int? ParseInteger(ArgumentResult result, string name, int minimum, int maximum)
    {
        string value = Value(result);
        if (
            int.TryParse(value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int number)
            && number >= minimum
            && number <= maximum
        )
        {
            return number;
        }

        result.AddError(
            Complaint(
                name,
                value,
                maximum == int.MaxValue
                    ? $"a whole number of at least {minimum}"
                    : $"a whole number from {minimum} to {maximum}"
            )
        );
        return null;
    }

    /// <summary>Returns the value given on the command line; the last one, if there are several.</summary>
    public static string Value(ArgumentResult result) => result.Tokens.Count == 0 ? "" : result.Tokens[^1].Value;
}
