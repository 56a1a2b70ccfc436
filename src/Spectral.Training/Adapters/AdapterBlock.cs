using Spectral.Kernels;

namespace Spectral.Training;

/// <summary>One tensor of an adapter: its name in the file behind the module's path, its shape, and whether it trains.</summary>
public sealed record Factor(string Name, Shape Shape, bool Trains);

/// <summary>One term s·L·diag(c)·R of a module's weight change; several blocks add up to one core of the sum of their ranks.</summary>
/// <param name="Left">L [out, p].</param>
/// <param name="Right">R [p, in].</param>
/// <param name="Scale">s, a constant.</param>
public sealed record AdapterBlock(Factor Left, Factor Right, float Scale)
{
    /// <summary>With <see cref="Delta"/>: c = σ∘δ, where σ [p] is frozen. Null: c is all ones.</summary>
    public Factor? Sigma { get; init; }

    /// <summary>δ [p], relative changes of the singular values.</summary>
    public Factor? Delta { get; init; }

    /// <summary>p.</summary>
    public int Rank => Right.Shape[0];

    /// <summary>Every tensor of the block.</summary>
    public IEnumerable<Factor> Factors => new[] { Left, Sigma, Delta, Right }.OfType<Factor>();
}

/// <summary>A linear layer as an adapter method sees it.</summary>
/// <param name="Name">Module path.</param>
/// <param name="Out">Output features.</param>
/// <param name="In">Input features.</param>
public readonly record struct ModuleShape(string Name, int Out, int In);
