using Spectral.Training.IO;

namespace Spectral.Training.Adapters;

/// <summary>Finds adapter methods by name.</summary>
public static class AdapterMethods
{
    /// <summary>Every method in this library, by name. Discovered, so that a new method's file is all it takes.</summary>
    public static IReadOnlyList<AdapterMethod> All { get; } =
    [
        .. typeof(AdapterMethod)
            .Assembly.GetTypes()
            .Where(type => type.IsSubclassOf(typeof(AdapterMethod)) && !type.IsAbstract)
            .Select(type => (AdapterMethod)Activator.CreateInstance(type)!)
            .OrderBy(method => method.Name, StringComparer.Ordinal),
    ];

    /// <summary>The method called <paramref name="name"/>, as on the command line.</summary>
    /// <exception cref="InputException">There is none; the message lists those there are.</exception>
    public static AdapterMethod Find(string name) =>
        All.FirstOrDefault(method => method.Name == name)
        ?? throw new InputException(
            $"unknown adapter '{name}'; known: {string.Join(", ", All.Select(method => method.Name))}"
        );
}
