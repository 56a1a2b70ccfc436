using Spectral.Training.IO;

namespace Spectral.Training.Adapters;

/// <summary>
/// The cost and the properties of a method on some layers with some options. The form gives them; nothing is allocated
/// or loaded.
/// </summary>
/// <param name="Method">The adapter method that is described.</param>
/// <param name="Trainable">The number of trainable scalars.</param>
/// <param name="ExtraForward">
/// The floating point operations that the adapter adds to a forward pass, relative to those of the layers themselves.
/// </param>
/// <param name="RebuildsWeight">
/// Whether a whole weight is recomputed once per step, which <paramref name="ExtraForward"/> does not count.
/// </param>
/// <param name="IsMergeable">Whether a plain checkpoint of the model can hold the result.</param>
/// <param name="WantsBias">Whether merging fails only because a layer has no bias to hold the change.</param>
/// <param name="IsLowRank">Whether a plain LoRA has the same effect.</param>
public sealed record MethodFacts(
    AdapterMethod Method,
    long Trainable,
    double ExtraForward,
    bool RebuildsWeight,
    bool IsMergeable,
    bool WantsBias,
    bool IsLowRank
)
{
    /// <summary>
    /// The names of the options that have an effect, among Rank, Alpha, RankStabilized, TopK, Dropout, Bias,
    /// LearningRateRatio, PromptText, InvocationTokens and Svd.
    /// </summary>
    public required IReadOnlySet<string> UsedOptions { get; init; }

    /// <summary>A single layer of common size, for tables without a model.</summary>
    public static IReadOnlyList<ModuleShape> OneLayer { get; } = [new("layer", 4096, 4096)];

    /// <summary>Determines the facts about a method.</summary>
    /// <param name="method">The method to describe.</param>
    /// <param name="modules">The layers to adapt.</param>
    /// <param name="options">The settings of the adapter.</param>
    /// <exception cref="InputException">The options do not suit the method or a layer.</exception>
    public static MethodFacts Of(AdapterMethod method, IReadOnlyList<ModuleShape> modules, AdapterOptions options)
    {
        long trainable = AdapterSize.Trainable(method, modules, options);
        IReadOnlyList<AdaptedModule> forms = AdaptedModule.Describe(method, options, modules);
        AdaptedModule? prompt = method.PromptBeside(options)?.Describe(modules);
        (bool mergeable, bool biases) = (
            prompt is null && forms.All(module => module.Form.IsMergeable),
            forms.All(module => module.Form.Bias is null || module.Shape.HasBias)
        );
        return new MethodFacts(
            method,
            trainable,
            (double)forms.Sum(module => module.Form.ExtraFlops(module.Shape))
                / forms.Sum(module => 2L * module.Shape.Out * module.Shape.In),
            forms.Any(module => module.Form.Weight is not null),
            mergeable && biases,
            mergeable && !biases,
            prompt is null && forms.All(module => module.Form.IsLowRank)
        )
        {
            UsedOptions = Used(method, options, forms, prompt).ToHashSet(),
        };
    }

    private static IEnumerable<string> Used(
        AdapterMethod method,
        AdapterOptions options,
        IReadOnlyList<AdaptedModule> modules,
        AdaptedModule? prompt
    )
    {
        string[] read =
        [
            nameof(AdapterOptions.Rank),
            nameof(AdapterOptions.Alpha),
            nameof(AdapterOptions.RankStabilized),
            nameof(AdapterOptions.LearningRateRatio),
            nameof(AdapterOptions.InvocationTokens),
        ];
        if (modules.Append(prompt).Any(module => module?.Reads(nameof(AdapterOptions.PromptText)) == true))
            yield return nameof(AdapterOptions.PromptText);
        foreach (string option in read.Where(option => modules.Any(module => module.Reads(option))))
            yield return option;
        if (method.UsesTopK)
            yield return nameof(AdapterOptions.TopK);
        if (method.UsesSvd(options))
            yield return nameof(AdapterOptions.Svd);
        if (modules.Any(module => module.Form.HasDropout))
            yield return nameof(AdapterOptions.Dropout);
        if (modules.Any(module => module.Shape.HasBias))
            yield return nameof(AdapterOptions.Bias);
    }
}
