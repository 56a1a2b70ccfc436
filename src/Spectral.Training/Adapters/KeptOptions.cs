using Spectral.Training.Adapters.Files;
using Spectral.Training.IO;

namespace Spectral.Training.Adapters;

/// <summary>
/// Checks that an adapter's files store every setting. The config is written and read again, and each setting that
/// affects results or further training has to come back for every layer.
/// </summary>
internal static class KeptOptions
{
    /// <summary>Checks that the files of an adapter store all its settings.</summary>
    /// <param name="config">The config that is to be written.</param>
    /// <param name="modules">The adapted layers.</param>
    /// <param name="layers">The names of all layers of the model.</param>
    /// <exception cref="InputException">
    /// A setting would be lost, or a reader would not accept a value; the message names the option.
    /// </exception>
    public static void Require(AdapterConfig config, IReadOnlyList<AdaptedModule> modules, IEnumerable<string> layers)
    {
        AdapterConfig read = AdapterConfigFile.ReadBack(config);
        if (Lost(config, read, modules).FirstOrDefault() is { } lost)
            throw new InputException(Message(lost.Option, config.Method));
        var adapted = modules.Select(module => module.Shape.Name).ToHashSet();
        if (layers.FirstOrDefault(layer => read.Matches(layer) != adapted.Contains(layer)) is { } other)
        {
            throw new InputException(
                "--target: the files of this adapter would " + $"{(adapted.Contains(other) ? "not " : "")}name {other}"
            );
        }
    }

    /// <summary>Resets the options that the method's files cannot store to their defaults.</summary>
    /// <param name="method">The method whose files are meant.</param>
    /// <param name="options">The options asked for.</param>
    /// <param name="layers">The layers to adapt.</param>
    /// <param name="without">Receives a line for each option that is reset.</param>
    /// <exception cref="InputException">The options do not suit a layer.</exception>
    public static AdapterOptions Keep(
        AdapterMethod method,
        AdapterOptions options,
        IReadOnlyList<ModuleShape> layers,
        Action<string> without
    )
    {
        while (true)
        {
            IReadOnlyList<AdaptedModule> modules = AdaptedModule.Describe(method, options, layers);
            var config = AdapterConfig.Of(method, options, modules);
            IEnumerable<Loss> losses = Lost(config, AdapterConfigFile.ReadBack(config), modules);
            if (losses.FirstOrDefault() is not { Reset: { } reset } lost)
                return options;
            without(Message(lost.Option, method));
            options = reset(options);
        }
    }

    private static string Message(string option, AdapterMethod method) =>
        $"{option}: the files of {method.Name} ({(method.PeftFields is null ? "" : "PEFT's ")}type {method.PeftType}) "
        + "have no place for it, so the adapter would be different when it is read again";

    /// <summary>
    /// Lists the settings that do not come back: first those of the whole model, then those of the first layer, and so
    /// on.
    /// </summary>
    private static IEnumerable<Loss> Lost(
        AdapterConfig config,
        AdapterConfig read,
        IReadOnlyList<AdaptedModule> modules
    )
    {
        if (config.Options.KeepTied && !read.Options.KeepTied)
            yield return new("--keep-tied", options => options with { KeepTied = false });
        if (config.Options.TrainableTokens.Count != read.Options.TrainableTokens.Count)
            yield return new("--train-tokens", options => options with { TrainableTokens = [] });
        ModuleShape[] shapes = [.. modules.Select(module => module.Shape)];
        foreach (AdaptedModule module in modules)
        {
            AdapterOptions wanted = module.Options;
            AdapterOptions found = config.Method.Fit(read.Options.For(module.Shape.Name), module.Shape, shapes);
            if (module.Reads(nameof(AdapterOptions.RankStabilized)) && found.RankStabilized != wanted.RankStabilized)
                yield return new("--rslora", options => options with { RankStabilized = false });
            if (module.Reads(nameof(AdapterOptions.Rank)) && found.Rank != wanted.Rank)
                yield return read.Options.Rank != config.Options.Rank ? new("--rank") : RankPattern;
            if (module.Reads(nameof(AdapterOptions.Alpha)) && !IsSame(found.Alpha, wanted.Alpha))
                yield return Alpha(read.Options.Alpha, config.Options);
            if (config.Method.UsesTopK && found.TopK != wanted.TopK)
                yield return new("--top-k");
            if ((module.TrainsBias || wanted.BiasModules.Count > 0) && found.Bias != wanted.Bias)
                yield return new("--bias", options => options with { Bias = AdapterBias.None });
            if (module.Form.HasDropout && found.Dropout != wanted.Dropout)
                yield return new("--dropout", options => options with { Dropout = 0 });
            if (
                module.Reads(nameof(AdapterOptions.InvocationTokens))
                && !found.InvocationTokens.SequenceEqual(wanted.InvocationTokens)
            )
            {
                yield return new("--invocation");
            }

            foreach (AdapterSetting setting in config.Method.Settings)
            {
                if (found.Setting(config.Method, setting.Name) != wanted.Setting(config.Method, setting.Name))
                    yield return new($"--set {setting.Name}");
            }
        }
    }

    private static Loss RankPattern { get; } = new("--rank-pattern", options => options with { RankPattern = [] });

    private static Loss Alpha(double found, AdapterOptions wanted)
    {
        if (!IsSame(found, wanted.Alpha))
            return new("--alpha");
        // A rank of its own changes a layer's scale, unless the file says otherwise.
        return wanted.AlphaPattern.Count > 0
            ? new("--alpha-pattern", options => options with { AlphaPattern = [] })
            : RankPattern;
    }

    // Reading a file of doubled rank divides alpha by √2 and rounds it to 15 digits.
    private static bool IsSame(double left, double right) =>
        Math.Abs(left - right) <= 1e-12 * Math.Max(Math.Abs(left), Math.Abs(right));

    /// <summary>An option that is lost, and how to reset it; null where it cannot be reset.</summary>
    private sealed record Loss(string Option, Func<AdapterOptions, AdapterOptions>? Reset = null);
}
