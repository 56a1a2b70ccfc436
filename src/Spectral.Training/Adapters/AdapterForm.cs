using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Tokens;

namespace Spectral.Training.Adapters;

/// <summary>
/// What a method makes of one linear layer: <c>y = ρ ∘ (u (W' + S)ᵀ + Σ s·((u Rᵀ)∘c) Lᵀ) + b</c>, <c>u = x ∘ a</c>.
/// Forward, backward, merging, export and counting all follow from it. Members left null cost nothing.
/// </summary>
public sealed record AdapterForm
{
    /// <summary>The low-rank terms, which are added up. They run as one core whose rank is the sum of theirs.</summary>
    public IReadOnlyList<LowRankTerm> Terms { get; init; } = [];

    /// <summary>
    /// The weight W' [out, in] in place of the base weight; null: the base weight. It is for methods that no low-rank
    /// term can express. It is computed once per step, takes the memory of a second weight, and its gradient costs as
    /// much as in full fine-tuning.
    /// </summary>
    public Expression? Weight { get; init; }

    /// <summary>
    /// The sparse changes of the base weight, whose sum is S. Nothing of the weight's size is kept: W + S exists while
    /// the layer is computed, which costs one pass over W each way, and the gradient has the entries of S alone. They
    /// stand beside no terms and no <see cref="Weight"/>.
    /// </summary>
    public IReadOnlyList<SparseChange> Entries { get; init; } = [];

    /// <summary>The factors a [in] on the inputs; null: all ones.</summary>
    public Expression? InputScale { get; init; }

    /// <summary>The factors ρ [out] on the outputs; null: all ones.</summary>
    public Expression? OutputScale { get; init; }

    /// <summary>The bias b [out] in place of the layer's own; null: the layer's own, if any.</summary>
    public Expression? Bias { get; init; }

    /// <summary>
    /// Whether a ReLU stands between R and L. The change is then no longer a change of the weight, so that it can be
    /// neither merged nor exported.
    /// </summary>
    public bool Rectified { get; init; }

    /// <summary>What is added to the output, other for each token; null: nothing.</summary>
    internal TokenChange? Change { get; init; }

    /// <summary>
    /// The penalty, [1], that is added to the loss once per optimizer step; null: none. Reported losses do not contain
    /// it.
    /// </summary>
    public Expression? Penalty { get; init; }

    /// <summary>
    /// The virtual tokens of a soft prompt, one per row [n, out], which stand before the input of the whole model. The
    /// form has nothing else then, and changes no layer; null: none.
    /// </summary>
    public Expression? VirtualTokens { get; init; }

    /// <summary>
    /// The part s·L·R of the base weight that is taken out before the rest is quantised, so that the terms stand beside
    /// what rounding left; null: the base is the model's own. Its factors do not train.
    /// </summary>
    internal LowRankTerm? Subtracted { get; init; }

    /// <summary>Whether a plain weight and bias can have the same effect.</summary>
    public bool IsMergeable => !Rectified && VirtualTokens is null && Change is null;

    /// <summary>Whether a plain LoRA can have the same effect: the form is low-rank terms and nothing else.</summary>
    public bool IsLowRank => AddsTermsOnly && Bias is null;

    /// <summary>Whether the weight's change is low-rank terms and nothing else. A bias may change beside it.</summary>
    internal bool AddsTermsOnly => Terms.Count > 0 && IsSum;

    /// <summary>
    /// Whether the weight's change is a sum of low-rank terms and entries, which does not depend on the weight. A bias
    /// may change beside it.
    /// </summary>
    internal bool IsSum =>
        (Terms.Count > 0 || Entries.Count > 0)
        && Weight is null
        && InputScale is null
        && OutputScale is null
        && Subtracted is null
        && Change is null
        && !Rectified;

    /// <summary>Whether the layer's output is that without the adapter plus low-rank terms of its input.</summary>
    internal bool AddsToOutput => (this with { Rectified = false }).IsLowRank;

    /// <summary>The sum of the terms' ranks.</summary>
    public int Rank => Terms.Sum(term => term.Rank);

    /// <summary>
    /// Returns the floating point operations per token that forward needs beyond the base layer's 2·out·in. Work that
    /// is done once per step is not counted.
    /// </summary>
    /// <param name="module">The base layer's name and size.</param>
    public long ExtraFlops(ModuleShape module) =>
        2L * Rank * (module.Out + module.In)
        + (InputScale is null ? 0 : module.In)
        + (OutputScale is null ? 0 : module.Out)
        + (Rectified ? Rank : 0)
        + (Change?.Flops(module.Out, module.In) ?? 0);

    /// <summary>All expressions of the form except the penalty.</summary>
    internal IEnumerable<Expression> Outputs =>
        Terms
            .SelectMany(term => new[] { term.Left, term.Middle, term.Right })
            .Concat([Weight, InputScale, OutputScale, Bias, VirtualTokens])
            .Concat(Entries.Select(change => change.Values))
            .Concat(Change?.Expressions ?? [])
            .OfType<Expression>();

    /// <summary>The gradients of whole weights that the method reads between the steps.</summary>
    internal IEnumerable<IObservedGradient> Observed =>
        Entries
            .Select(change => (IObservedGradient?)change.Whole)
            .Append(Weight as GradientTap)
            .OfType<IObservedGradient>();

    /// <summary>Whether the adapter's dropout acts on a part of the form.</summary>
    internal bool HasDropout => Terms.Count > 0 || Change is { HasDropout: true };

    internal void Check(ModuleShape module)
    {
        Change?.Check(module.Name, module.Out, module.In);
        foreach (LowRankTerm term in Terms)
        {
            Require(term.Left, module.Out, term.Rank);
            Require(term.Right, term.Rank, module.In);
            RequireCount(term.Middle, term.Rank);
        }
        if (Subtracted is not null)
        {
            Require(Subtracted.Left, module.Out, Subtracted.Rank);
            Require(Subtracted.Right, Subtracted.Rank, module.In);
        }
        if (Weight is not null)
            Require(Weight, module.Out, module.In);
        if (VirtualTokens is not null)
            Require(VirtualTokens, VirtualTokens.Shape[0], module.Out);
        RequireCount(InputScale, module.In);
        RequireCount(OutputScale, module.Out);
        RequireCount(Bias, module.Out);
        RequireCount(Penalty, 1);
        foreach (SparseChange change in Entries)
            RequireCount(change.Values, checked((int)change.Places.Shape.Count));
        if (Entries.Count > 0 && (Terms.Count > 0 || Weight is not null))
            throw new InvalidOperationException($"{module.Name}: entries stand beside no terms and no weight");
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
