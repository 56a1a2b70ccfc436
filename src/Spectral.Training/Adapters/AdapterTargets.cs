namespace Spectral.Training;

/// <summary>Which layers of a model an adapter changes.</summary>
public static class AdapterTargets
{
    /// <summary>The layers that the options name, with their sizes, in model order. Nothing is loaded.</summary>
    /// <exception cref="InputException">A target matches no layer; the message says what there is.</exception>
    public static IReadOnlyList<ModuleShape> Of(ModelConfig model, AdapterOptions options) =>
        [.. Choose([.. ModelTensors.Adaptable(model)], linear => linear.Name, options).Select(linear => new ModuleShape(linear.Name, linear.Outputs, linear.Inputs, linear.HasBias))];

    /// <summary>Those among some layers that the options name.</summary>
    /// <inheritdoc cref="Of"/>
    internal static T[] Choose<T>(IReadOnlyList<T> layers, Func<T, string> name, AdapterOptions options)
    {
        foreach (var target in options.TargetModules)
            if (!layers.Any(layer => ModulePattern.Of(target).Matches(name(layer))))
                throw new InputException($"target '{target}' matches no layer; there are: {Ends(layers)}");
        var pattern = ModulePattern.Of(options.TargetModules);
        T[] chosen = [.. layers.Where(layer => pattern.Matches(name(layer)) && !SavedModules.Exclude(options.ModulesToSave, name(layer)))];
        if (ModulePattern.Unmatched(options.RankPattern, chosen.Select(name)) is { } rank)
            throw new InputException($"rank pattern '{rank}' matches no adapted layer; there are: {Ends(chosen)}");
        if (ModulePattern.Unmatched(options.AlphaPattern, chosen.Select(name)) is { } alpha)
            throw new InputException($"alpha pattern '{alpha}' matches no adapted layer; there are: {Ends(chosen)}");
        return chosen.Length > 0 || options.ModulesToSave.Count == 0 ? chosen : throw new InputException(
            $"targets {string.Join(", ", options.TargetModules)}: all of them are trained whole ({string.Join(", ", options.ModulesToSave)})");

        string Ends(IEnumerable<T> some) => string.Join(", ", some.Select(layer => name(layer).Split('.')[^1]).Distinct());
    }
}
