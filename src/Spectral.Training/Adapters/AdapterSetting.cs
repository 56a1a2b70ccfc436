using System.Globalization;
using Spectral.Training.IO;

namespace Spectral.Training.Adapters;

/// <summary>A setting of one method's own: a number, or a choice from a list.</summary>
/// <param name="Name">As given to <c>--set</c>, lower case with hyphens.</param>
/// <param name="Default">Its value unless given; of a choice the index.</param>
/// <param name="Least">Smallest number allowed.</param>
/// <param name="Most">Largest number allowed.</param>
/// <param name="Help">What it does.</param>
public sealed record AdapterSetting(string Name, double Default, double Least, double Most, string Help)
{
    /// <summary>The values of a choice, the default first; empty for a number.</summary>
    public IReadOnlyList<string> Choices { get; private init; } = [];

    /// <summary>Whether it is on or off.</summary>
    public bool IsSwitch => Choices.Count == 2 && Choices.Contains("on") && Choices.Contains("off");

    /// <summary>Whether only whole numbers are allowed.</summary>
    public bool IsWhole { get; init; }

    /// <summary>The key in PEFT's config that holds it; null: PEFT has none.</summary>
    public string? PeftKey { get; init; }

    /// <summary>
    /// Whether PEFT's type is older than the key: versions without it refuse a config that has it, so that it is not
    /// written where the setting is the default.
    /// </summary>
    public bool IsLaterKey { get; init; }

    /// <summary>The key in PEFT's config that holds its values for single modules; null: PEFT has none.</summary>
    public string? PeftPatternKey { get; init; }

    /// <summary>The setting that it takes the place of where it is not 0; null: none.</summary>
    public string? InPlaceOf { get; init; }

    /// <summary>A whole number.</summary>
    public static AdapterSetting Whole(string name, int value, int least, int most, string help) =>
        new(name, value, least, most, help) { IsWhole = true };

    /// <summary>On (1) or off (0).</summary>
    public static AdapterSetting Switch(string name, bool value, string help) =>
        Choice(name, help, value ? ["on", "off"] : ["off", "on"]);

    /// <summary>A choice; the first is the default.</summary>
    public static AdapterSetting Choice(string name, string help, params string[] choices) =>
        new(name, 0, 0, choices.Length - 1, help) { Choices = choices, IsWhole = true };

    /// <summary>What may be given, for help and messages.</summary>
    public string Expected =>
        Choices.Count > 0
            ? string.Join('|', Choices)
            : $"{(IsWhole ? "a whole number" : "a number")} from {Text(Least)} to {Text(Most)}";

    /// <summary>The value as it is written on the command line.</summary>
    public string Describe(double value) => Choices.Count > 0 ? Choices[(int)value] : Text(value);

    /// <summary>The value that a text stands for.</summary>
    /// <exception cref="InputException">It is none of this setting's.</exception>
    public double Parse(string text)
    {
        if (Choices.Count > 0)
        {
            for (int i = 0; i < Choices.Count; i++)
            {
                if (Choices[i] == text)
                    return i;
            }
        }
        else if (
            double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double value) && Allows(value)
        )
        {
            return value;
        }
        throw new InputException($"setting {Name}={text}: expected {Expected}");
    }

    /// <summary>Whether a number is one of this setting's.</summary>
    public bool Allows(double value) => value >= Least && value <= Most && (!IsWhole || value == Math.Floor(value));

    private static string Text(double value) => value.ToString("G9", CultureInfo.InvariantCulture);
}
