using Spectral.Generators;
using Spectral.Training.IO;

namespace Spectral.Training.Placement;

/// <summary>Finds placement methods by name.</summary>
public static partial class PlacementMethods
{
    /// <summary>All methods, sorted by name.</summary>
    public static IReadOnlyList<PlacementMethod> All { get; } =
    [.. BuiltIn().OrderBy(method => method.Name, StringComparer.Ordinal)];

    /// <summary>Finds the method called <paramref name="name"/>, as on the command line.</summary>
    /// <exception cref="InputException">There is no such method; the message lists those that there are.</exception>
    public static PlacementMethod Find(string name) =>
        All.FirstOrDefault(method => method.Name == name)
        ?? throw new InputException(
            $"unknown placement method {InputText.Quote(name)}, known: "
                + string.Join(", ", All.Select(method => method.Name))
        );

    [NewOfEachSubclass]
    private static partial PlacementMethod[] BuiltIn();
}
