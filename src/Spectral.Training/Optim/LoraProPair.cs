using Spectral.Kernels;
using Spectral.Kernels.Linalg;
using Spectral.Kernels.Ops;
using Spectral.Training.IO;

namespace Spectral.Training.Optim;

/// <summary>
/// The step of LoRA-Pro (Wang, Liang 2024) for one pair of factors. The gradients of the factors are replaced by those
/// whose change of the product is nearest to the gradient of the whole weight; AdamW's moments are of that change.
/// </summary>
/// <remarks>Gram matrices have F32 sums, their inverses are F64 inside.</remarks>
internal sealed class LoraProPair
{
    private const float Damping = 1e-8f;

    private readonly OptimizerRun _run;
    private readonly FactorPair _pair;
    private readonly (float Left, float Right) _rates;
    private readonly Tensor _first;
    private readonly Tensor _second;
    private readonly Memory _memory;

    private LoraProPair(OptimizerRun run, FactorPair pair, Memory memory)
    {
        (_run, _pair, _memory) = (run, pair, memory);
        _rates = (RateOf(pair.Left), RateOf(pair.Right));
        Shape whole = (pair.Left.Shape[0], pair.Right.Shape[1]);
        _first = run.PerParameter(AdamWOptimizer.First, pair.Left, whole);
        _second = run.PerParameter(AdamWOptimizer.Second, pair.Left, whole);
    }

    /// <summary>The two factors whose step it makes.</summary>
    public IEnumerable<Parameter> Factors => [_pair.Left, _pair.Right];

    /// <summary>Declares the state of some pairs. They share the memory of intermediate results.</summary>
    /// <exception cref="InputException">A rank is above <see cref="Sylvester.MaxOrder"/>.</exception>
    public static IReadOnlyList<LoraProPair> Of(OptimizerRun run, IReadOnlyList<FactorPair> pairs)
    {
        if (pairs.Count == 0)
            return [];
        GramPreconditioner.RequireRanks(run, pairs, Sylvester.MaxOrder);
        Memory memory = new(run, pairs);
        return [.. pairs.Select(pair => new LoraProPair(run, pair, memory))];
    }

    /// <summary>Updates both factors by their gradients.</summary>
    public void Update()
    {
        (Tensor left, Tensor right, float scale) = (_pair.Left.Master, _pair.Right.Master, (float)_pair.Scale);
        using Views views = _memory.For(_pair);
        Invert(views);
        Project(views, _pair.Left.Gradient!, _pair.Right.Gradient!);
        Gemm.Run(left, views.RightUpdate, views.Whole, scale);
        Gemm.Run(views.LeftUpdate, right, views.Whole, scale, beta: 1);

        // From zero, AdamW leaves minus the learning rate times its quotient.
        views.WholeUpdate.Clear();
        AdamW.Step(views.WholeUpdate, views.Whole, _first, _second, _run.StepState);
        Gemm.Run(views.WholeUpdate, Gemm.Transposed(right), views.LeftGradient, scale);
        Gemm.Run(Gemm.Transposed(left), views.WholeUpdate, views.RightGradient, scale);
        Project(views, views.LeftGradient, views.RightGradient);
        Share(views);
        Apply(_pair.Left, views.LeftUpdate, _rates.Left);
        Apply(_pair.Right, views.RightUpdate, _rates.Right);
    }

    private float InverseSquare => (float)(1 / (_pair.Scale * _pair.Scale));

    /// <summary>Computes LᵀL + δI, RRᵀ + δI, (LᵀL + δI)⁻¹ and (RRᵀ + δI)⁻¹/s², or I while L is zero.</summary>
    private void Invert(Views views)
    {
        (Tensor left, Tensor right) = (_pair.Left.Master, _pair.Right.Master);
        Gemm.Run(Gemm.Transposed(left), left, views.LeftGram);
        Gemm.Run(right, Gemm.Transposed(right), views.RightGram);
        Combine.AddIdentity(views.RightGram, 1, Damping, views.RightGram);
        Inverse(views.RightGram, views.RightInverse);
        UnlessZero.Run(views.LeftGram, views.RightInverse, InverseSquare, views.RightInverse);
        Combine.AddIdentity(views.LeftGram, 1, Damping, views.LeftGram);
        Inverse(views.LeftGram, views.LeftInverse);
    }

    private static void Inverse(Tensor gram, Tensor inverse)
    {
        int rank = gram.Dim(0);
        using Tensor from = gram.View((1, rank, rank));
        using Tensor to = inverse.View((1, rank, rank));
        MatrixInverse.Forward(from, to);
    }

    /// <summary>Computes (I − P_L) g_L (RRᵀ)⁻¹/s² and (LᵀL)⁻¹ g_R/s²; g_L is changed.</summary>
    private void Project(Views views, Tensor leftGradient, Tensor rightGradient)
    {
        Tensor left = _pair.Left.Master;
        Gemm.Run(Gemm.Transposed(left), leftGradient, views.Small);
        Gemm.Run(views.LeftInverse, views.Small, views.Solution);
        Gemm.Run(left, views.Solution, leftGradient, -1, beta: 1);
        Gemm.Run(leftGradient, views.RightInverse, views.LeftUpdate);
        Gemm.Run(views.LeftInverse, rightGradient, views.RightUpdate, InverseSquare);
    }

    /// <summary>
    /// Moves a part LXR of the product's change from L to R, with the X that changes the factors' gradients least.
    /// </summary>
    private void Share(Views views)
    {
        (Tensor left, Tensor right) = (_pair.Left.Master, _pair.Right.Master);
        Gemm.Run(views.RightUpdate, Gemm.Transposed(right), views.Small, -1);
        Sylvester.Solve(views.LeftGram, views.RightGram, views.Small, views.Solution);
        Gemm.Run(left, views.Solution, views.LeftUpdate, -1, beta: 1);
        Gemm.Run(views.Solution, right, views.RightUpdate, beta: 1);
    }

    private void Apply(Parameter factor, Tensor update, float rate)
    {
        if (rate != 1)
            Combine.Run(update, rate, null, 0, update);
        ApplyUpdate.Step(factor.Master, update, _run.StepState, rate);
    }

    private float RateOf(Parameter factor)
    {
        IReadOnlyList<Parameter> all = _run.Parameters.Parameters;
        return (float)_run.Parameters.RateOf(Enumerable.Range(0, all.Count).First(i => all[i] == factor));
    }

    /// <summary>Memory of intermediate results, as large as the largest pair needs.</summary>
    private sealed class Memory(OptimizerRun run, IReadOnlyList<FactorPair> pairs)
    {
        private readonly Tensor[] _whole = Pieces(run, 2, pairs.Max(pair => Out(pair) * In(pair)));
        private readonly Tensor[] _left = Pieces(run, 2, pairs.Max(pair => pair.Left.Shape.Count));
        private readonly Tensor[] _right = Pieces(run, 2, pairs.Max(pair => pair.Right.Shape.Count));
        private readonly Tensor[] _small = Pieces(run, 6, pairs.Max(pair => (long)Rank(pair) * Rank(pair)));

        public Views For(FactorPair pair)
        {
            Shape small = (Rank(pair), Rank(pair));
            return new Views(
                [.. _whole.Select(memory => Part(memory, ((int)Out(pair), (int)In(pair))))],
                [.. _left.Select(memory => Part(memory, pair.Left.Shape))],
                [.. _right.Select(memory => Part(memory, pair.Right.Shape))],
                [.. _small.Select(memory => Part(memory, small))]
            );
        }

        private static long Out(FactorPair pair) => pair.Left.Shape[0];

        private static long In(FactorPair pair) => pair.Right.Shape[1];

        private static int Rank(FactorPair pair) => pair.Right.Shape[0];

        private static Tensor[] Pieces(OptimizerRun run, int count, long length) =>
            [.. Enumerable.Range(0, count).Select(_ => run.Scratch(checked((int)length)))];

        private static Tensor Part(Tensor memory, Shape shape)
        {
            using Tensor part = memory.Rows(0, checked((int)shape.Count));
            return part.View(shape);
        }
    }

    /// <summary>The memory, in the shapes of one pair.</summary>
    private sealed class Views(Tensor[] whole, Tensor[] left, Tensor[] right, Tensor[] small) : IDisposable
    {
        public Tensor Whole => whole[0];
        public Tensor WholeUpdate => whole[1];
        public Tensor LeftGradient => left[0];
        public Tensor LeftUpdate => left[1];
        public Tensor RightGradient => right[0];
        public Tensor RightUpdate => right[1];
        public Tensor LeftGram => small[0];
        public Tensor RightGram => small[1];
        public Tensor LeftInverse => small[2];
        public Tensor RightInverse => small[3];
        public Tensor Small => small[4];
        public Tensor Solution => small[5];

        public void Dispose()
        {
            foreach (Tensor view in (Tensor[])[.. whole, .. left, .. right, .. small])
                view.Dispose();
        }
    }
}
