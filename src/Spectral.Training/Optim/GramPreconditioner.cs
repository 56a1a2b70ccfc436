using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.IO;

namespace Spectral.Training.Optim;

/// <summary>
/// Multiplies the gradient of one factor of a term s·L·R by the inverse of the other's Gram matrix, in place:
/// <c>g_L ← c · g_L (RRᵀ + δI)⁻¹</c> and <c>g_R ← c · (LᵀL + δI)⁻¹ g_R</c>. Such a step does not depend on how the
/// product is shared out between the factors. Gram matrices have F32 sums; the inverse is F64 inside.
/// </summary>
internal sealed class GramPreconditioner
{
    private readonly float _damping;
    private readonly Tensor _gram; // [1, r, r]
    private readonly Tensor _product; // at least as long as each of the factors

    private GramPreconditioner(FactorPair pair, float damping, Tensor gram, Tensor product) =>
        (Pair, _damping, _gram, _product) = (pair, damping, gram, product);

    /// <summary>The term whose factors are meant.</summary>
    public FactorPair Pair { get; }

    /// <summary>
    /// Returns a preconditioner for each of some terms, except for factors that several of them share.
    /// </summary>
    /// <param name="run">Provides the memory, one product for all terms.</param>
    /// <param name="pairs">The terms.</param>
    /// <param name="damping">δ.</param>
    /// <exception cref="InputException">A rank is above <see cref="MatrixInverse.MaxOrder"/>.</exception>
    public static IReadOnlyList<GramPreconditioner> Of(
        OptimizerRun run,
        IReadOnlyList<FactorPair> pairs,
        double damping
    )
    {
        IReadOnlyList<FactorPair> apart = Apart(pairs);
        if (apart.Count == 0)
            return [];
        RequireRanks(run, apart, MatrixInverse.MaxOrder);
        Tensor product = run.Scratch(
            checked((int)apart.Max(pair => Math.Max(pair.Left.Shape.Count, pair.Right.Shape.Count)))
        );
        Dictionary<int, Tensor> grams = [];
        foreach (int rank in apart.Select(pair => pair.Right.Shape[0]).Distinct())
            grams.Add(rank, run.Scratch((1, rank, rank)));
        return
        [
            .. apart.Select(pair => new GramPreconditioner(pair, (float)damping, grams[pair.Right.Shape[0]], product)),
        ];
    }

    /// <summary>Returns the terms whose factors are in no other term.</summary>
    public static IReadOnlyList<FactorPair> Apart(IReadOnlyList<FactorPair> pairs)
    {
        var terms = pairs.SelectMany(pair => new[] { pair.Left, pair.Right }).CountBy(factor => factor).ToDictionary();
        return [.. pairs.Where(pair => terms[pair.Left] == 1 && terms[pair.Right] == 1)];
    }

    /// <summary>Checks that the r × r problems of some terms can be solved.</summary>
    /// <exception cref="InputException">A rank is too large.</exception>
    public static void RequireRanks(OptimizerRun run, IEnumerable<FactorPair> pairs, int most)
    {
        if (pairs.FirstOrDefault(pair => pair.Right.Shape[0] > most) is not { } wide)
            return;
        throw new InputException(
            $"{wide.Right.Name} has rank {wide.Right.Shape[0]}, expected at most {most} with {run.Method}"
        );
    }

    /// <summary>Computes <c>g_L ← factor · g_L (RRᵀ + δI)⁻¹</c>.</summary>
    public void ApplyToLeft(float factor)
    {
        Tensor right = Pair.Right.Master;
        using Tensor inverse = InverseOf(right, Gemm.Transposed(right));
        Replace(Pair.Left.Gradient!, inverse, factor, isLeft: true);
    }

    /// <summary>Computes <c>g_R ← factor · (LᵀL + δI)⁻¹ g_R</c>.</summary>
    public void ApplyToRight(float factor)
    {
        Tensor left = Pair.Left.Master;
        using Tensor inverse = InverseOf(Gemm.Transposed(left), left);
        Replace(Pair.Right.Gradient!, inverse, factor, isLeft: false);
    }

    private Tensor InverseOf(GemmMatrix first, GemmMatrix second)
    {
        Tensor square = _gram.View((_gram.Dim(1), _gram.Dim(2)));
        Gemm.Run(first, second, square);
        Combine.AddIdentity(square, 1, _damping, square);
        MatrixInverse.Forward(_gram, _gram);
        return square;
    }

    private void Replace(Tensor gradient, Tensor inverse, float factor, bool isLeft)
    {
        using Tensor memory = _product.Rows(0, checked((int)gradient.Count));
        using Tensor product = memory.View(gradient.Shape);
        Gemm.Run(isLeft ? gradient : inverse, isLeft ? inverse : gradient, product, factor);
        gradient.CopyFrom(product);
    }
}
