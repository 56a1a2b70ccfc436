using System.Globalization;
using System.Text.RegularExpressions;
using Spectral.Training.IO;

namespace Spectral.Training.Optim;

/// <summary>
/// Divides parameters into groups whose gradients are clipped apart, as <see cref="AdamWOptions.ClipGroups"/> says.
/// </summary>
internal static partial class ClipGroups
{
    /// <summary>What a text has to be, for messages.</summary>
    public const string Expected = "component, layer or REGEX=C entries, separated by commas, with C above 0";

    private const string Component = "component";
    private const string Layer = "layer";
    private const string Others = "others";

    /// <summary>Checks a text without parameters.</summary>
    /// <exception cref="InputException">The text does not name groups, or nothing would be clipped.</exception>
    public static void Check(string text, double maxNorm)
    {
        if (text is Component or Layer)
        {
            if (maxNorm > 0)
                return;
            throw new InputException(
                $"--clip-groups {text}: no group would be clipped, expected a gradient clip above 0 with them"
            );
        }

        Entry[] entries = Entries(text);
        if (entries.DistinctBy(entry => entry.Text).Count() < entries.Length)
            throw new InputException($"--clip-groups {InputText.Quote(text)}: expected every expression once");
    }

    /// <summary>Returns the groups in the order of their first parameters.</summary>
    /// <param name="text">The text.</param>
    /// <param name="maxNorm">The largest norm of groups that the text gives none.</param>
    /// <param name="parameters">The parameters.</param>
    /// <exception cref="InputException">An expression matches none of the parameters' modules.</exception>
    public static IReadOnlyList<(string Name, double MaxNorm, int[] Members)> Of(
        string text,
        double maxNorm,
        ParameterSet parameters
    )
    {
        Check(text, maxNorm);
        string[] modules = [.. Enumerable.Range(0, parameters.Parameters.Count).Select(parameters.ModuleOf)];
        if (text is Component or Layer)
        {
            return
            [
                .. Enumerable
                    .Range(0, modules.Length)
                    .GroupBy(i => text == Layer ? LayerOf(modules[i]) : EndOf(modules[i]))
                    .Select(group => (group.Key, maxNorm, group.ToArray())),
            ];
        }

        Entry[] entries = Entries(text);
        if (entries.FirstOrDefault(entry => !modules.Any(entry.Matches)) is { } idle)
        {
            throw new InputException(
                $"--clip-groups {InputText.Quote(idle.Text)} matches nothing that trains; there are: "
                    + string.Join(", ", modules.Select(EndOf).Distinct())
            );
        }

        return
        [
            .. Enumerable
                .Range(0, modules.Length)
                .GroupBy(i => Array.Find(entries, entry => entry.Matches(modules[i])))
                .Select(group => (group.Key?.Text ?? Others, group.Key?.MaxNorm ?? maxNorm, group.ToArray())),
        ];
    }

    private static string EndOf(string module) => module[(module.LastIndexOf('.') + 1)..];

    /// <summary>Returns the name up to the first number, such as layers.3, or the end of a name without one.</summary>
    private static string LayerOf(string module) =>
        Numbered().Match(module) is { Success: true } match ? match.Groups[1].Value : EndOf(module);

    private static Entry[] Entries(string text) => [.. text.Split(',').Select(entry => Parse(entry, text))];

    private static Entry Parse(string entry, string all)
    {
        int split = entry.LastIndexOf('=');
        if (
            split < 1
            || !double.TryParse(entry[(split + 1)..], NumberStyles.Float, CultureInfo.InvariantCulture, out double most)
            || !(most > 0 && double.IsFinite(most))
        )
        {
            throw new InputException($"--clip-groups {InputText.Quote(all)}: expected {Expected}");
        }

        string expression = entry[..split];
        try
        {
            return new Entry(
                expression,
                most,
                new Regex($@"(?:\A|\.)(?:{expression})\z", RegexOptions.NonBacktracking)
            );
        }
        catch (Exception error) when (error is ArgumentException or NotSupportedException)
        {
            throw new InputException(
                $"--clip-groups {InputText.Quote(all)}: expected {Expected}; {InputText.Quote(expression)} is no "
                    + "regular expression without backtracking",
                error
            );
        }
    }

    [GeneratedRegex(@"(?:\A|\.)([A-Za-z_]+\.[0-9]+)(?:\.|\z)")]
    private static partial Regex Numbered();

    private sealed record Entry(string Text, double MaxNorm, Regex Expression)
    {
        public bool Matches(string module) => Expression.IsMatch(module);
    }
}
