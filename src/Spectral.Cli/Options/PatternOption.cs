using System.CommandLine;
using System.Globalization;
using Spectral.Cli.Hosting;

namespace Spectral.Cli.Options;

/// <summary>
/// An option that gives single layers a number: regular expressions that match the ends of their names, each with its
/// number.
/// </summary>
internal sealed class PatternOption
{
    private PatternOption(string name, string help, string shape, Func<string, double?> number) =>
        Option = new Option<string>(name)
        {
            Description = help,
            HelpName = shape,
            DefaultValueFactory = _ => "",
            CustomParser = result =>
            {
                string value = OptionTypes.Value(result);
                if (Complaint(value, shape, number) is { } expectation)
                    result.AddError(OptionTypes.Complaint(name, value, expectation));
                return value;
            },
        };

    public Option<string> Option { get; }

    /// <summary>Makes an option whose values are ranks.</summary>
    public static PatternOption Ranks(string name, string help) =>
        new(
            name,
            help,
            "REGEX=R,…",
            text =>
                int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int value)
                && value is >= 1 and <= 65536
                    ? value
                    : null
        );

    /// <summary>Makes an option whose values are positive numbers.</summary>
    public static PatternOption Numbers(string name, string help) =>
        new(
            name,
            help,
            "REGEX=X,…",
            text =>
                double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double value)
                && double.IsFinite(value)
                && value > 0
                    ? value
                    : null
        );

    /// <summary>Returns the expressions and their values, which were checked when they were parsed.</summary>
    public IEnumerable<KeyValuePair<string, double>> Read(CommandContext context) =>
        context
            .Get(Option)
            .Split(',', StringSplitOptions.RemoveEmptyEntries)
            .Select(entry =>
                KeyValuePair.Create(Expression(entry), double.Parse(Number(entry), CultureInfo.InvariantCulture))
            );

    /// <summary>Returns what was expected instead of a list that is not valid; null for a valid one.</summary>
    private static string? Complaint(string list, string shape, Func<string, double?> number)
    {
        string[] entries = list.Split(',');
        if (entries.Any(entry => entry.LastIndexOf('=') < 1 || number(Number(entry)) is null))
            return shape.Replace(",…", " entries, separated by commas");
        return entries.Select(Expression).Distinct().Count() < entries.Length
            ? "every expression once, as its first entry counts"
            : null;
    }

    private static string Expression(string entry) => entry[..entry.LastIndexOf('=')];

    private static string Number(string entry) => entry[(entry.LastIndexOf('=') + 1)..];
}
