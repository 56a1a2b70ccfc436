using System.Globalization;
using Spectral.Cli.Hosting;
using Spectral.Training.Adapters;

namespace Spectral.Cli.Options;

/// <summary>Adapters in words: rows of a page's table of settings.</summary>
internal static class AdapterDescription
{
    /// <summary>Returns the options that all methods of a comparison have in common.</summary>
    public static IReadOnlyList<(string Name, string Value)> Of(
        AdapterCommandOptions adapter,
        CommandContext context
    ) => [.. adapter.Shared.Select(option => (option.Name.TrimStart('-'), context.Text(option).Replace(",", ", ")))];

    /// <summary>Returns what an adapter is, without options that are rarely used and not set.</summary>
    public static IReadOnlyList<(string Name, string Value)> Of(Adapter adapter)
    {
        AdapterOptions options = adapter.Options;
        var rows = new List<(string, string)>
        {
            ("adapter", $"{adapter.Method.Name}: {adapter.Method.Summary}"),
            ("rank", Text(options.Rank)),
            ("alpha", Text(options.Alpha)),
        };
        if (options.RankStabilized)
            rows.Add(("rslora", "on"));
        if (options.Bias != AdapterBias.None)
            rows.Add(("bias", BiasNames.Of(options).Replace(",", ", ")));
        rows.Add(("top-k", Text(options.TopK)));
        rows.Add(("target", string.Join(", ", options.TargetModules)));
        if (options.ModulesToSave.Count > 0)
            rows.Add(("train-also", Listed(options.ModulesToSave)));
        if (options.KeepTied)
            rows.Add(("keep-tied", "on"));
        if (options.TrainableTokens.Count > 0)
            rows.Add(("train-tokens", Listed(options.TrainableTokens)));
        rows.Add(("dropout", Text(options.Dropout)));
        rows.Add(("lr-ratio", Text(options.LearningRateRatio)));
        foreach (AdapterSetting setting in adapter.Method.Settings)
            rows.Add((setting.Name, setting.Describe(options.Setting(adapter.Method, setting.Name))));
        if (adapter.Method.PromptBeside(options) is { } prompt)
        {
            rows.Add((SoftPromptOption.Group, prompt.Method.Name));
            foreach (AdapterSetting setting in prompt.Method.Settings)
            {
                double value = prompt.Options.Setting(prompt.Method, setting.Name);
                rows.Add(($"{SoftPromptOption.Group}.{setting.Name}", setting.Describe(value)));
            }
        }

        rows.Add(("trainable parameters", adapter.TrainableCount.ToString("N0", CultureInfo.InvariantCulture)));
        return rows;
    }

    /// <summary>Returns the names of modules, or "none".</summary>
    public static string Listed(IReadOnlyList<string> names) => names.Count == 0 ? "none" : string.Join(", ", names);

    /// <summary>Returns the tokens of each module, or "none".</summary>
    public static string Listed(IReadOnlyList<KeyValuePair<string, IReadOnlyList<int>>> tokens) =>
        tokens.Count == 0
            ? "none"
            : string.Join("; ", tokens.Select(pair => $"{pair.Key}: {string.Join(", ", pair.Value)}"));

    private static string Text(double number) => number.ToString(CultureInfo.InvariantCulture);
}
