using Spectral.Generators;
using Spectral.Training.IO;

namespace Spectral.Training.Objectives;

/// <summary>Finds losses by name.</summary>
/// <example>
/// <code>
/// LossMethod loss = LossMethods.Find("dpo");
/// Console.WriteLine($"{loss.Name}: {loss.Formula}");
/// </code>
/// </example>
public static partial class LossMethods
{
    /// <summary>All losses, sorted by name.</summary>
    public static IReadOnlyList<LossMethod> All { get; } =
    [.. BuiltIn().OrderBy(method => method.Name, StringComparer.Ordinal)];

    /// <summary>Finds the loss called <paramref name="name"/>, as on the command line.</summary>
    /// <exception cref="InputException">There is no such loss; the message lists those that there are.</exception>
    public static LossMethod Find(string name) =>
        All.FirstOrDefault(method => method.Name == name)
        ?? throw new InputException(
            $"unknown loss {InputText.Quote(name)}, known: {string.Join(", ", All.Select(method => method.Name))}"
        );

    [NewOfEachSubclass]
    private static partial LossMethod[] BuiltIn();
}
