using Spectral.Generators;

namespace Spectral.Training.Models;

/// <summary>Finds the model families that this library supports.</summary>
internal static partial class ModelFamilies
{
    /// <summary>All families, sorted by <see cref="ModelFamily.ModelType"/>.</summary>
    public static IReadOnlyList<ModelFamily> All { get; } =
    [.. Discovered().OrderBy(family => family.ModelType, StringComparer.Ordinal)];

    /// <summary>The <c>model_type</c> of every family, for messages: "a, b or c".</summary>
    public static string Choices =>
        string.Join(", ", All.SkipLast(1).Select(family => family.ModelType)) + $" or {All[^1].ModelType}";

    /// <summary>Says what is expected in place of a <c>model_type</c> that is of no family.</summary>
    public static string ChoicesBeside(string modelType)
    {
        string? has = All.Select(family => family.Relatives.GetValueOrDefault(modelType))
            .FirstOrDefault(found => found is not null);
        return has is null
            ? $"{Choices} (no other architecture is supported)"
            : $"{Choices}; {modelType} has {has}, which is not supported";
    }

    /// <summary>Returns the family of a <c>model_type</c>; null if there is none.</summary>
    public static ModelFamily? Find(string? modelType) => All.FirstOrDefault(family => family.ModelType == modelType);

    /// <summary>
    /// Returns whether a module is the token embedding of some family. The files of an adapter do not say to which
    /// family its model belongs.
    /// </summary>
    public static bool IsEmbedding(string module) => All.Any(family => family.Embedding == module);

    /// <summary>Returns whether a module is the output head of some family.</summary>
    public static bool IsHead(string module) => All.Any(family => family.Head == module);

    /// <summary>Returns the name of the output head in the family with a given token embedding.</summary>
    public static string HeadOf(string embedding) => All.First(family => family.Embedding == embedding).Head;

    /// <summary>Returns whether a tensor is the weight of an embedding or of a head.</summary>
    public static bool IsTable(string tensor) =>
        All.Any(family => tensor == family.EmbeddingWeight || tensor == family.HeadWeight);

    /// <summary>Returns whether a module, or the end of its name, is the output of a feed-forward block.</summary>
    public static bool IsFeedForwardOutput(string module) =>
        All.Any(family => module.EndsWith(family.FeedForwardOutput, StringComparison.Ordinal));

    [NewOfEachSubclass]
    private static partial ModelFamily[] Discovered();
}
