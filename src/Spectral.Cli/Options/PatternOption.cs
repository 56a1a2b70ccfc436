using System.CommandLine;
using System.Globalization;
using Spectral.Cli.Hosting;
using Spectral.Training.IO;

namespace Spectral.Cli.Options;

/// <summary>
/// An option that gives single layers a number: regular expressions that match the ends of their names, each with its
/// number. They are in the option or, as <c>@FILE</c>, in a file with one or more on each line, where lines that begin
/// with <c>#</c> are comments. Its value is the entries themselves, so that a run knows them again when it resumes.
/// </summary>
internal sealed class PatternOption
{
    private PatternOption(string name, string help, string shape, Func<string, double?> number) =>
        Option = new Option<string>(name)
        {
            Description = help,
            HelpName = $"{shape},…|@FILE",
            DefaultValueFactory = _ => "",
            CustomParser = result =>
            {
                string given = OptionTypes.Value(result);
                try
                {
                    string[] entries = given.StartsWith('@') ? OptionFile.Entries(given[1..]) : given.Split(',');
                    if (Complaint(entries, shape, number) is { } expectation)
                        result.AddError(OptionTypes.Complaint(name, given, expectation));
                    return string.Join(',', entries);
                }
                catch (InputException error)
                {
                    result.AddError($"{name} \"{given}\": {error.Message}; expected {shape} entries in the file");
                    return "";
                }
            },
        };

    public Option<string> Option { get; }

    /// <summary>Makes an option whose values are ranks; 0 leaves a layer out.</summary>
    public static PatternOption Ranks(string name, string help) =>
        new(
            name,
            help,
            "REGEX=R",
            text =>
                int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int value)
                && value is >= 0 and <= 65536
                    ? value
                    : null
        );

    /// <summary>Makes an option whose values are positive numbers.</summary>
    public static PatternOption Numbers(string name, string help) =>
        new(
            name,
            help,
            "REGEX=X",
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

    /// <summary>Returns what was expected instead of entries that are not valid; null for valid ones.</summary>
    private static string? Complaint(string[] entries, string shape, Func<string, double?> number)
    {
        if (entries.Length == 0)
            return $"{shape} entries in the file";
        if (Array.Find(entries, entry => entry.LastIndexOf('=') < 1 || number(Number(entry)) is null) is { } odd)
            return $"{shape} entries, separated by commas" + (entries.Length > 1 ? $", not \"{odd}\"" : "");
        return entries.Select(Expression).Distinct().Count() < entries.Length
            ? "every expression once, as its first entry counts"
            : null;
    }

    private static string Expression(string entry) => entry[..entry.LastIndexOf('=')];

    private static string Number(string entry) => entry[(entry.LastIndexOf('=') + 1)..];
}
