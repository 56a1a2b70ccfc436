using System.Text.Json.Nodes;
using Spectral.Cli.Hosting;
using Spectral.Training.Settings;

namespace Spectral.Cli.Options;

/// <summary>What the lists of methods show of each: form and settings.</summary>
internal static class MethodText
{
    /// <summary>Prints what a method says of itself.</summary>
    /// <param name="terminal">Receives the lines.</param>
    /// <param name="method">The method.</param>
    /// <param name="details">What only methods of its kind have.</param>
    public static void Show(
        Terminal terminal,
        MethodDescription method,
        params ReadOnlySpan<(string Name, string Value)> details
    )
    {
        terminal.Line($"{method.Name}: {method.Summary}");
        string form = method.IsPublishedForm
            ? "as published"
            : "reconstructed, as the paper does not give every detail";
        terminal.Table([("use", method.Use), ("source", method.Source), ("form", form), .. details]);
    }

    /// <summary>Prints a table of a method's own settings.</summary>
    public static void ShowSettings(
        Terminal terminal,
        IReadOnlyList<Setting> settings,
        IReadOnlyList<TextSetting>? texts = null
    )
    {
        string[][] rows =
        [
            .. settings.Select(setting =>
                (string[])[setting.Name, setting.Describe(setting.Default), setting.Expected, setting.Help]
            ),
            .. (texts ?? []).Select(text =>
                (string[])[text.Name, text.IsRequired ? "required" : "none", text.Placeholder, text.Help]
            ),
        ];
        if (rows.Length == 0)
            terminal.Line("no settings of its own");
        else
            terminal.Table(["--set", "default", "expected", "meaning"], rows, textFrom: 1);
    }

    /// <summary>Returns a method's own settings for --json.</summary>
    public static JsonArray JsonOf(IReadOnlyList<Setting> settings, IReadOnlyList<TextSetting>? texts = null) =>
        [
            .. settings.Select(setting =>
                Json(setting.Name, setting.Describe(setting.Default), setting.Expected, setting.Help)
            ),
            .. (texts ?? []).Select(text => Json(text.Name, null, text.Placeholder, text.Help)),
        ];

    private static JsonObject Json(string name, string? value, string expected, string help) =>
        new()
        {
            ["name"] = name,
            ["default"] = value,
            ["expected"] = expected,
            ["help"] = help,
        };
}
