using System.Text.Json.Nodes;
using Spectral.Cli.Hosting;
using Spectral.Training.Settings;

namespace Spectral.Cli.Options;

/// <summary>What the lists of methods show of each: form and settings.</summary>
internal static class MethodText
{
    /// <summary>Returns the row that says whether the method has the published form.</summary>
    public static (string Name, string Value) Form(MethodDescription method) =>
        ("form", method.IsPublishedForm ? "as published" : "reconstructed, as the paper does not give every detail");

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
