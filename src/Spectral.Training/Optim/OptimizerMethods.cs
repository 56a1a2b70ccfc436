using Spectral.Generators;
using Spectral.Training.IO;

namespace Spectral.Training.Optim;

/// <summary>Finds optimizers by name.</summary>
/// <example>
/// <code>
/// OptimizerMethod method = OptimizerMethods.Find("adamw");
/// using Optimizer optimizer = method.Create(adapter.Parameters, new AdamWOptions { GradientClip = 1 });
/// </code>
/// </example>
public static partial class OptimizerMethods
{
    /// <summary>All optimizers, sorted by name.</summary>
    public static IReadOnlyList<OptimizerMethod> All { get; } =
    [.. BuiltIn().OrderBy(method => method.Name, StringComparer.Ordinal)];

    /// <summary>Finds the optimizer called <paramref name="name"/>, as on the command line.</summary>
    /// <exception cref="InputException">There is no such optimizer; the message lists those that there are.</exception>
    public static OptimizerMethod Find(string name) =>
        All.FirstOrDefault(method => method.Name == name)
        ?? throw new InputException(
            $"unknown optimizer {InputText.Quote(name)}, known: {string.Join(", ", All.Select(method => method.Name))}"
        );

    [NewOfEachSubclass]
    private static partial OptimizerMethod[] BuiltIn();
}
