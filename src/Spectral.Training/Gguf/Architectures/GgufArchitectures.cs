using Spectral.Generators;
using Spectral.Training.IO;
using Spectral.Training.Models;

namespace Spectral.Training.Gguf.Architectures;

/// <summary>Finds the architecture of llama.cpp that computes a model.</summary>
internal static partial class GgufArchitectures
{
    /// <summary>All architectures, sorted by name.</summary>
    public static IReadOnlyList<GgufArchitecture> All { get; } =
    [.. Discovered().OrderBy(architecture => architecture.Name, StringComparer.Ordinal)];

    /// <summary>Returns the architecture of a <c>model_type</c>; null if there is none.</summary>
    public static GgufArchitecture? Find(string modelType) =>
        All.FirstOrDefault(architecture => architecture.ModelTypes.Contains(modelType));

    /// <summary>Returns the architecture that computes a model as it is meant.</summary>
    /// <param name="config">The model's config.</param>
    /// <param name="directory">The model's folder, for messages.</param>
    /// <exception cref="InputException">No architecture does.</exception>
    public static GgufArchitecture Of(ModelConfig config, string directory)
    {
        IEnumerable<string> known = All.SelectMany(each => each.ModelTypes).Order(StringComparer.Ordinal);
        GgufArchitecture architecture =
            Find(config.ModelType)
            ?? throw new InputException(
                $"{directory}: no architecture of llama.cpp is known to compute {config.ModelType} models, expected "
                    + $"one of {string.Join(", ", known)}"
            );
        if (architecture.Obstacles(config).FirstOrDefault() is { } obstacle)
        {
            throw new InputException(
                $"{directory}: llama.cpp's {architecture.Name} cannot compute this {config.ModelType} model, which has "
                    + obstacle
            );
        }

        return architecture;
    }

    [NewOfEachSubclass]
    private static partial GgufArchitecture[] Discovered();
}
