using System.Globalization;
using Spectral.Training.IO;

namespace Spectral.Training.Settings;

/// <summary>A setting that one method has of its own: a number, or a choice from a list.</summary>
/// <param name="Name">The name as given to <c>--set</c>, in lower case with hyphens.</param>
/// <param name="Default">The value unless given; for a choice, its index.</param>
/// <param name="Least">The smallest number allowed.</param>
/// <param name="Most">The largest number allowed.</param>
/// <param name="Help">The effect of the setting, for help and docs.</param>
public record Setting(string Name, double Default, double Least, double Most, string Help)
{
    private const double MostExact = 1L << 53; // a double holds all whole numbers up to here

    /// <summary>The values of a choice, the default first; empty for a number.</summary>
    public IReadOnlyList<string> Choices { get; private protected init; } = [];

    /// <summary>Whether the setting is a switch, on or off.</summary>
    public bool IsSwitch => Choices.Count == 2 && Choices.Contains("on") && Choices.Contains("off");

    /// <summary>Whether only whole numbers are allowed.</summary>
    public bool IsWhole { get; init; }

    /// <summary>Creates a setting whose value is a whole number.</summary>
    /// <param name="name">The name as given to <c>--set</c>.</param>
    /// <param name="value">The default value.</param>
    /// <param name="least">The smallest value allowed.</param>
    /// <param name="most">The largest value allowed.</param>
    /// <param name="help">The effect of the setting, for help and docs.</param>
    public static Setting Whole(string name, int value, int least, int most, string help) =>
        new(name, value, least, most, help) { IsWhole = true };

    /// <summary>Creates a switch: on or off.</summary>
    /// <param name="name">The name as given to <c>--set</c>.</param>
    /// <param name="value">Whether it is on by default.</param>
    /// <param name="help">The effect of the setting, for help and docs.</param>
    public static Setting Switch(string name, bool value, string help) =>
        Choice(name, help, value ? ["on", "off"] : ["off", "on"]);

    /// <summary>Creates a choice from a list. The first entry is the default.</summary>
    /// <param name="name">The name as given to <c>--set</c>.</param>
    /// <param name="help">The effect of the setting, for help and docs.</param>
    /// <param name="choices">The values that can be chosen.</param>
    public static Setting Choice(string name, string help, params string[] choices) =>
        new(name, 0, 0, choices.Length - 1, help) { Choices = choices, IsWhole = true };

    /// <summary>The values that may be given, for help and messages.</summary>
    public string Expected =>
        Choices.Count > 0
            ? string.Join('|', Choices)
            : $"{(IsWhole ? "a whole number" : "a number")} from {Text(Least)} to {Text(Most)}";

    /// <summary>Returns a value as it is written on the command line.</summary>
    public string Describe(double value) => Choices.Count > 0 ? Choices[(int)value] : Text(value);

    /// <summary>Parses a value as it is written on the command line.</summary>
    /// <exception cref="InputException">The text is not a value of this setting.</exception>
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

    /// <summary>Returns whether a number is a value of this setting.</summary>
    public bool Allows(double value) => value >= Least && value <= Most && (!IsWhole || value == Math.Floor(value));

    // Seeds have ten digits, and none of them may be lost.
    private static string Text(double value) =>
        value == Math.Floor(value) && Math.Abs(value) <= MostExact
            ? value.ToString("F0", CultureInfo.InvariantCulture)
            : value.ToString("G9", CultureInfo.InvariantCulture);
}
