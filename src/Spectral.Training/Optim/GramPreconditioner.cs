using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.IO;

namespace Spectral.Training.Optim;

/// <summary>
/// Multiplies the gradients of one factor of terms s·L·R by the inverse of the other's Gram matrix:
/// <c>c · g_L (RRᵀ + δI)⁻¹</c> and <c>c · (LᵀL + δI)⁻¹ g_R</c>. Such a step does not depend on how the product is
/// shared out between the factors. Gram matrices have F32 sums; the inverse is F64 inside.
/// </summary>
internal sealed class GramPreconditioner
{
    private readonly OptimizerRun _run;
    private readonly PairBatch _pairs;
    private readonly float _damping;
    private readonly Tensor _gram; // [b, r, r]
    private readonly Dictionary<Parameter, Tensor> _results = [];
    private Tensor? _left; // [b, out, r]
    private Tensor? _right; // [b, r, in]

    private GramPreconditioner(OptimizerRun run, PairBatch pairs, float damping)
    {
        (_run, _pairs, _damping) = (run, pairs, damping);
        _gram = run.Scratch((pairs.Count, pairs.Rank, pairs.Rank));
    }

    /// <summary>The scale s of the terms.</summary>
    public double Scale => _pairs.Scale;

    /// <summary>What takes the place of the factors' gradients, once it is computed.</summary>
    public IReadOnlyDictionary<Parameter, Tensor> Results => _results;

    /// <summary>
    /// Returns preconditioners of some terms, except for factors that several of them share. Terms of one shape have
    /// one together.
    /// </summary>
    /// <param name="run">Provides the memory.</param>
    /// <param name="pairs">The terms.</param>
    /// <param name="damping">δ.</param>
    /// <param name="ofRight">Whether <see cref="ApplyToRight"/> will be called, too.</param>
    /// <exception cref="InputException">A rank is above <see cref="MatrixInverse.MaxOrder"/>.</exception>
    public static IReadOnlyList<GramPreconditioner> Of(
        OptimizerRun run,
        IReadOnlyList<FactorPair> pairs,
        double damping,
        bool ofRight
    )
    {
        IReadOnlyList<FactorPair> apart = Apart(pairs);
        RequireRanks(run, apart, MatrixInverse.MaxOrder);
        GramPreconditioner[] terms =
        [
            .. PairBatch.Of(run.Parameters, apart).Select(batch => new GramPreconditioner(run, batch, (float)damping)),
        ];
        foreach (GramPreconditioner term in terms)
        {
            term._left = term.Memory(term._pairs.Left, pair => pair.Left);
            if (ofRight)
                term._right = term.Memory(term._pairs.Right, pair => pair.Right);
        }

        return terms;
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

    /// <summary>Computes <c>factor · g_L (RRᵀ + δI)⁻¹</c> into <see cref="Results"/>.</summary>
    public void ApplyToLeft(float factor)
    {
        (MatrixBatch left, GemmOperand right) = (_pairs.Left, _pairs.Right.Operand);
        GemmOperand inverse = InverseOf(right, right.Transpose(), _pairs.Right.Columns);
        Gemm.Run(
            PairBatch.GradientsOf(_run.Parameters, left).Operand,
            inverse,
            new GemmOperand(_left!, 0, _pairs.Rank, (long)left.Rows * left.Columns),
            new GemmSize(left.Rows, _pairs.Rank, _pairs.Rank, _pairs.Count),
            factor
        );
    }

    /// <summary>Computes <c>factor · (LᵀL + δI)⁻¹ g_R</c> into <see cref="Results"/>.</summary>
    public void ApplyToRight(float factor)
    {
        (GemmOperand left, MatrixBatch right) = (_pairs.Left.Operand, _pairs.Right);
        GemmOperand inverse = InverseOf(left.Transpose(), left, _pairs.Left.Rows);
        Gemm.Run(
            inverse,
            PairBatch.GradientsOf(_run.Parameters, right).Operand,
            new GemmOperand(_right!, 0, right.Columns, (long)right.Rows * right.Columns),
            new GemmSize(_pairs.Rank, right.Columns, _pairs.Rank, _pairs.Count),
            factor
        );
    }

    private GemmOperand InverseOf(GemmOperand first, GemmOperand second, int inner)
    {
        int rank = _pairs.Rank;
        GemmOperand square = new(_gram, 0, rank, (long)rank * rank);
        Gemm.Run(first, second, square, new GemmSize(rank, rank, inner, _pairs.Count));
        Combine.AddIdentity(_gram, 1, _damping, _gram);
        MatrixInverse.Forward(_gram, _gram);
        return square;
    }

    private Tensor Memory(MatrixBatch factors, Func<FactorPair, Parameter> factor)
    {
        Tensor all = _run.Scratch((factors.Count, factors.Rows, factors.Columns));
        for (int i = 0; i < factors.Count; i++)
            _results.Add(factor(_pairs.Pairs[i]), _run.Part(all, i));
        return all;
    }
}
