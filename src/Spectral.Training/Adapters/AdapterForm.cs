using Spectral.Training.Adapters.Expressions;

namespace Spectral.Training.Adapters;

/// <summary>
/// What a method makes of one linear layer: <c>y = ρ ∘ (u W'ᵀ + Σ s·((u Rᵀ)∘c) Lᵀ) + b</c> with <c>u = x ∘ a</c>.
/// Everything the core does — forward, backward, merge, export, counting — follows from it. Parts left out cost
/// nothing.
/// </summary>
public sealed record AdapterForm
{
    /// <summary>The low-rank terms, added up; they run as one core of the sum of their ranks.</summary>
    public IReadOnlyList<LowRankTerm> Terms { get; init; } = [];

    /// <summary>
    /// W' [out, in] in place of the base weight; null: the base weight. For methods that no low-rank term expresses: it
    /// is computed once per step, takes the memory of the weight a second time, and its gradient costs a product like
    /// that of full fine-tuning.
    /// </summary>
    public Expression? Weight { get; init; }

    /// <summary>a, one per input; null: all ones.</summary>
    public Expression? InputScale { get; init; }

    /// <summary>ρ, one per output; null: all ones.</summary>
    public Expression? OutputScale { get; init; }

    /// <summary>b, one per output, in place of the layer's own bias; null: that bias, if any.</summary>
    public Expression? Bias { get; init; }

    /// <summary>
    /// ReLU between R and L. The change is then no longer one of the weight: it can be neither merged nor exported.
    /// </summary>
    public bool Rectified { get; init; }

    /// <summary>[1], added to the loss once per optimizer step; it is not in the losses that are reported.</summary>
    public Expression? Penalty { get; init; }

    /// <summary>Whether a plain weight, and bias, computes the same.</summary>
    public bool IsMergeable => !Rectified;

    /// <summary>Whether a plain LoRA computes the same, L·C·R being all there is.</summary>
    public bool IsLowRank =>
        Terms.Count > 0 && Weight is null && InputScale is null && OutputScale is null && Bias is null && !Rectified;

    /// <summary>Sum of the terms' ranks.</summary>
    public int Rank => Terms.Sum(term => term.Rank);

    /// <summary>
    /// Floating point operations per token that forward does beyond the base layer's 2·out·in; what happens once per
    /// step is not in it.
    /// </summary>
    public long ExtraFlops(ModuleShape module) =>
        2L * Rank * (module.Out + module.In)
        + (InputScale is null ? 0 : module.In)
        + (OutputScale is null ? 0 : module.Out)
        + (Rectified ? Rank : 0);

    /// <summary>Everything that has a value.</summary>
    internal IEnumerable<Expression> Outputs =>
        Terms
            .SelectMany(term => new[] { term.Left, term.Middle, term.Right })
            .Concat([Weight, InputScale, OutputScale, Bias])
            .OfType<Expression>();

    internal void Check(ModuleShape module)
    {
        foreach (LowRankTerm term in Terms)
        {
            Require(term.Left, module.Out, term.Rank);
            Require(term.Right, term.Rank, module.In);
            RequireCount(term.Middle, term.Rank);
        }
        if (Weight is not null)
            Require(Weight, module.Out, module.In);
        RequireCount(InputScale, module.In);
        RequireCount(OutputScale, module.Out);
        RequireCount(Bias, module.Out);
        RequireCount(Penalty, 1);
        if (Rectified && Terms.Any(term => term.Middle is not null))
            throw new InvalidOperationException($"{module.Name}: a rectified form takes no middle diagonal");

        void Require(Expression expression, int rows, int columns)
        {
            if (expression.Shape.Rank != 2 || expression.Shape[0] != rows || expression.Shape[1] != columns)
            {
                throw new InvalidOperationException(
                    $"{module.Name}: a part of the form is {expression.Shape}, expected [{rows}, {columns}]"
                );
            }
        }

        void RequireCount(Expression? expression, int count)
        {
            if (expression is not null && expression.Shape.Count != count)
            {
                throw new InvalidOperationException(
                    $"{module.Name}: a part of the form is {expression.Shape}, expected {count} elements"
                );
            }
        }
    }
}
