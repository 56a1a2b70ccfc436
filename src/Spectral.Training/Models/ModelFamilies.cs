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

    /// <summary>Returns the family of a <c>model_type</c>; null if there is none.</summary>
    public static ModelFamily? Find(string? modelType) => All.FirstOrDefault(family => family.ModelType == modelType);

    [NewOfEachSubclass]
    private static partial ModelFamily[] Discovered();
}
