using Spectral.Training.Settings;

namespace Spectral.Training.Adapters;

/// <summary>A setting of one adapter method: a number or a choice, and its place in PEFT's config.</summary>
/// <param name="Name">The name as given to <c>--set</c>, in lower case with hyphens.</param>
/// <param name="Default">The value unless given; for a choice, its index.</param>
/// <param name="Least">The smallest number allowed.</param>
/// <param name="Most">The largest number allowed.</param>
/// <param name="Help">The effect of the setting, for help and docs.</param>
public sealed record AdapterSetting(string Name, double Default, double Least, double Most, string Help)
    : Setting(Name, Default, Least, Most, Help)
{
    /// <summary>The key of the setting in PEFT's config; null: PEFT has none.</summary>
    public string? PeftKey { get; init; }

    /// <summary>
    /// Whether the key is newer than PEFT's type. Versions without the key refuse a config that has it, so that it is
    /// written only where the setting differs from the default.
    /// </summary>
    public bool IsLaterKey { get; init; }

    /// <summary>The key in PEFT's config with the setting's values for single modules; null: PEFT has none.</summary>
    public string? PeftPatternKey { get; init; }

    /// <summary>The setting that this one replaces where it is not 0; null: none.</summary>
    public string? InPlaceOf { get; init; }

    /// <inheritdoc cref="Setting.Whole"/>
    public static new AdapterSetting Whole(string name, int value, int least, int most, string help) =>
        new(name, value, least, most, help) { IsWhole = true };

    /// <inheritdoc cref="Setting.Switch"/>
    public static new AdapterSetting Switch(string name, bool value, string help) =>
        Choice(name, help, value ? ["on", "off"] : ["off", "on"]);

    /// <inheritdoc cref="Setting.Choice"/>
    public static new AdapterSetting Choice(string name, string help, params string[] choices) =>
        new(name, 0, 0, choices.Length - 1, help) { Choices = choices, IsWhole = true };
}
