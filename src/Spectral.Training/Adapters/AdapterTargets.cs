using System.Buffers;
using Spectral.Training.Adapters.Files;
using Spectral.Training.IO;
using Spectral.Training.Models;

namespace Spectral.Training.Adapters;

/// <summary>Chooses the layers of a model that an adapter changes.</summary>
public static class AdapterTargets
{
    private static readonly SearchValues<char> NameCharacters = SearchValues.Create(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-., "
    );

    /// <summary>
    /// Splits a text into targets. It is one expression over full names if it is <c>all-linear</c> (every linear layer
    /// except the output head) or has a character that no list of names has. Otherwise it is a list of names or ends of
    /// names, separated by commas.
    /// </summary>
    public static IReadOnlyList<string> Parse(string text) =>
        IsPattern(text) ? [text] : text.Split(',', StringSplitOptions.TrimEntries);

    /// <summary>Lists the layers that the options name, with their sizes, in model order. Nothing is loaded.</summary>
    /// <param name="model">The config of the model.</param>
    /// <param name="options">The settings of the adapter.</param>
    /// <exception cref="InputException">
    /// A target matches no layer (the message lists those there are), or is not a regular expression.
    /// </exception>
    public static IReadOnlyList<ModuleShape> Of(ModelConfig model, AdapterOptions options) =>
        [
            .. Choose([.. ModelTensors.Adaptable(model)], linear => linear.Name, InFamily(model, options))
                .Select(ModuleShape.Of),
        ];

    /// <summary>
    /// Lists the modules that an adapter of a method has in a model: the layers that the options name, or the only
    /// module of a soft prompt.
    /// </summary>
    /// <param name="model">The config of the model.</param>
    /// <param name="method">The adapter's method.</param>
    /// <param name="options">The settings of the adapter.</param>
    /// <exception cref="InputException">
    /// A target matches no layer (the message lists those there are), or a soft prompt is given targets.
    /// </exception>
    public static IReadOnlyList<ModuleShape> Of(ModelConfig model, AdapterMethod method, AdapterOptions options)
    {
        if (method is not PromptMethod prompt)
        {
            IReadOnlyList<ModuleShape> layers = Of(model, options);
            return method.PromptBeside(options) is null
                ? layers
                : [.. layers.Select(layer => layer with { Prompt = PromptSizes.Of(model) })];
        }

        if (model.Classifier is not null)
        {
            throw new InputException(
                $"{method.Name} puts virtual tokens before a text, which a model that classifies has no place for: "
                    + "expected another --adapter"
            );
        }

        prompt.RequireAlone(options);
        return [prompt.ModuleOf(PromptSizes.Of(model))];
    }

    /// <summary>Selects those of some layers that the options name.</summary>
    /// <inheritdoc cref="Of(ModelConfig, AdapterOptions)"/>
    internal static T[] Choose<T>(IReadOnlyList<T> layers, Func<T, string> name, AdapterOptions options)
    {
        foreach (string target in options.TargetParameters)
        {
            if (!layers.Any(layer => ExpertParameters.Matches(target, ExpertParameters.Of(name(layer)))))
                throw new InputException($"target parameter '{target}' matches none; there are: {Parameters()}");
        }

        ModulePattern pattern = PatternOf(options.TargetModules);
        if (pattern.Names is null && !layers.Any(layer => pattern.Matches(name(layer))))
        {
            throw new InputException(
                $"target {InputText.Quote(pattern.Text!)} matches no layer; an expression has to match full names, "
                    + "such as "
                    + string.Join(", ", layers.Select(name).DistinctBy(ModelTensors.EndOf))
            );
        }

        if (pattern.Names?.Contains(ModulePattern.AllLinear, StringComparer.OrdinalIgnoreCase) == true)
        {
            throw new InputException(
                $"targets {string.Join(", ", pattern.Names)}: expected {ModulePattern.AllLinear} alone, or names of "
                    + $"layers without it; there are: {Ends(layers)}"
            );
        }

        foreach (string target in pattern.Names ?? [])
        {
            if (!layers.Any(layer => ModulePattern.Of(target).Matches(name(layer))))
                throw new InputException($"target '{target}' matches no layer; there are: {Ends(layers)}");
        }

        T[] chosen =
        [
            .. layers.Where(layer =>
                (pattern.Matches(name(layer)) || options.TargetsParameterOf(name(layer)))
                && !SavedModules.Exclude(options.ModulesToSave, name(layer))
            ),
        ];
        if (ModulePattern.Unmatched(options.RankPattern, chosen.Select(PatternName)) is { } rank)
            throw new InputException($"rank pattern '{rank}' matches no adapted layer; there are: {Ends(chosen)}");
        if (ModulePattern.Unmatched(options.AlphaPattern, chosen.Select(PatternName)) is { } alpha)
            throw new InputException($"alpha pattern '{alpha}' matches no adapted layer; there are: {Ends(chosen)}");
        if (chosen.Length == 0 && options.ModulesToSave.Count > 0)
        {
            throw new InputException(
                $"targets {string.Join(", ", options.TargetModules)}: all of them are trained whole "
                    + $"({string.Join(", ", options.ModulesToSave)})"
            );
        }

        T[] adapted = [.. chosen.Where(layer => !options.IsPruned(name(layer)))];
        return adapted.Length > 0 || chosen.Length == 0
            ? adapted
            : throw new InputException("rank pattern: rank 0 for every target, expected one that is adapted");

        string PatternName(T layer) => options.PatternName(name(layer));

        string Parameters() =>
            string.Join(
                ", ",
                layers
                    .Select(layer => ExpertParameters.Of(name(layer)))
                    .Select(parameter => string.Join('.', parameter.Split('.')[^2..]))
                    .Distinct()
            );

        string Ends(IEnumerable<T> some) => string.Join(", ", some.Select(name).Select(ModelTensors.EndOf).Distinct());
    }

    /// <summary>
    /// Returns the options with the layers' names in place of an expression or a pattern that leaves layers out, so
    /// that every reader selects the same layers, and with those of the model's family in place of
    /// <see cref="AdapterOptions.AllProjections"/>.
    /// </summary>
    /// <inheritdoc cref="Of(ModelConfig, AdapterOptions)"/>
    internal static AdapterOptions Resolved(ModelConfig model, AdapterOptions options)
    {
        options = InFamily(model, options);
        return PatternOf(options.TargetModules).Names is null || LeavesOut(options)
            ? options with
            {
                TargetModules =
                [
                    .. Of(model, options).Select(layer => layer.Name).Where(name => !options.TargetsParameterOf(name)),
                ],
                // The layers that are left match none of the entries that leave layers out.
                RankPattern = LeavesOut(options)
                    ? [.. options.RankPattern.Where(entry => entry.Value > 0)]
                    : options.RankPattern,
            }
            : options;
    }

    /// <summary>
    /// Returns the options with the layers of the model's family in place of
    /// <see cref="AdapterOptions.AllProjections"/>, and parameters of experts among the targets as such.
    /// </summary>
    internal static AdapterOptions InFamily(ModelConfig model, AdapterOptions options)
    {
        options = WithHead(model, options);
        if (options.TargetModules.SequenceEqual(AdapterOptions.AllProjections))
            return options with { TargetModules = model.Family.DefaultTargets };
        string[] parameters = [.. options.TargetModules.Where(ExpertParameters.IsOne)];
        return parameters.Length == 0
            ? options
            : options with
            {
                TargetModules = [.. options.TargetModules.Except(parameters)],
                TargetParameters = [.. options.TargetParameters.Union(parameters)],
            };
    }

    /// <summary>
    /// Returns the options with the head for classes of a model among the modules that train whole, as PEFT adds
    /// <c>classifier</c> or <c>score</c> for such models.
    /// </summary>
    private static AdapterOptions WithHead(ModelConfig model, AdapterOptions options)
    {
        if (model.ClassifierLayout is not { } layout)
            return options;
        string head = layout.Head.Split('.')[0];
        return options.ModulesToSave.Contains(head)
            ? options
            : options with
            {
                ModulesToSave = [.. options.ModulesToSave, head],
            };
    }

    /// <summary>Returns the pattern that some targets stand for.</summary>
    /// <exception cref="InputException">A target is not a regular expression.</exception>
    public static ModulePattern PatternOf(IReadOnlyList<string> targets) =>
        targets is [var one] && IsPattern(one) ? ModulePattern.Parse(one, "target") : ModulePattern.Of(targets);

    /// <summary>Returns whether the pattern of ranks has a rank of 0, with which a layer gets no adapter.</summary>
    private static bool LeavesOut(AdapterOptions options) =>
        options.Rank != 0 && options.RankPattern.Any(entry => entry.Value == 0);

    private static bool IsPattern(string text) =>
        string.Equals(text, ModulePattern.AllLinear, StringComparison.OrdinalIgnoreCase)
        || text.AsSpan().ContainsAnyExcept(NameCharacters);
}
