using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Settings;

namespace Spectral.Training.Optim.Methods;

internal sealed class DctLowRankMethod : OptimizerMethod
{
    private const string Rank = "rank";
    private const string Period = "period";
    private const string Feedback = "error-feedback";

    public override string Name => "dct-lowrank";

    public override string Formula =>
        "Q the orthonormal DCT of a matrix's smaller side, Q[k,j] = √(2/n) c_k cos(π(2j+1)k/2n), c₀ = 1/√2, c_k = 1; "
        + "every T steps: I = the r rows of Qg with the largest sums of magnitudes, moments of rows that stay are "
        + "kept, others begin at 0; ĝ = Q_I g; q = AdamW's quotient of ĝ; θ ← θ − ηωθ − η Q_Iᵀq; with error feedback "
        + "g + e is in the place of g, and e ← g + e − Q_Iᵀĝ";

    public override string Source =>
        "Modoranu et al., \"FFT-based Dynamic Subspace Selection for Low-Rank Adaptive Optimization of Large Language "
        + "Models\", 2025, arXiv 2505.17967; Qg as a product, e in F32 and before clipping";

    public override string Use =>
        "Moments for r of a matrix's smaller side, as with `galore`, in a basis that needs no decomposition: a state "
        + "has the r numbers of its rows in place of a projector. What lies outside of a step's subspace is "
        + "dropped, or added to the next gradient. Vectors, and matrices with a side up to r, get AdamW.";

    public override string GraphRefusal => "chooses rows of a basis by gradients";

    public override IReadOnlyList<Setting> Settings { get; } =
    [
        Setting.Whole(Rank, 4, 1, 65536, "Dimension r of the subspace."),
        Setting.Whole(Period, 1, 1, 1_000_000, "T: steps from one choice to the next."),
        Setting.Switch(
            Feedback,
            false,
            "Keep what a step drops, e, and add it to the next gradient: 4 bytes more for each value."
        ),
    ];

    public override long StateBytes(Shape shape, IReadOnlyDictionary<string, double> settings)
    {
        int rank = (int)ValueOf(Rank, settings);
        return GradientSubspace.Fits(shape, rank)
            ? GradientSubspace.MomentBytes(shape, rank)
                + 4L * rank
                + (4 * shape.Count * (long)ValueOf(Feedback, settings))
            : 8 * shape.Count;
    }

    internal override OptimizerRule Begin(OptimizerRun run)
    {
        (int rank, int period) = ((int)run.Setting(Rank), (int)run.Setting(Period));
        Dictionary<int, Tensor> cosines = [];
        Shape[] shapes =
        [
            .. run
                .Parameters.Parameters.Select(parameter => parameter.Shape)
                .Where(shape => GradientSubspace.Fits(shape, rank)),
        ];
        int most = shapes.Length == 0 ? 0 : checked((int)shapes.Max(shape => shape.Count));
        (Tensor products, Tensor signs) = (run.Scratch(most), run.Scratch(most));
        return GradientSubspace.Rule(
            run,
            rank,
            1,
            term =>
            {
                if (!cosines.TryGetValue(term.Side, out Tensor? basis))
                {
                    cosines[term.Side] = basis = run.Scratch((term.Side, term.Side));
                    basis.CopyFrom(Cosines(term.Side));
                }

                return new Choice(term, basis, run, products, signs, period).At;
            }
        );
    }

    /// <summary>The rows of Q, [n, n].</summary>
    private static float[] Cosines(int n)
    {
        float[] rows = new float[n * n];
        for (int k = 0; k < n; k++)
        {
            double factor = Math.Sqrt((k == 0 ? 1.0 : 2.0) / n);
            for (int j = 0; j < n; j++)
                rows[k * n + j] = (float)(factor * Math.Cos(Math.PI * (2 * j + 1) * k / (2 * n)));
        }

        return rows;
    }

    /// <summary>The rows I of Q for one matrix.</summary>
    private sealed class Choice
    {
        private readonly GradientSubspace _term;
        private readonly Tensor _all;
        private readonly Tensor _products;
        private readonly Tensor _signs;
        private readonly int _period;
        private readonly Tensor _index; // [rank] I32
        private readonly Tensor _sums; // [side]
        private readonly Tensor _rows; // [rank, side]

        private readonly Tensor? _error; // of the parameter's shape
        private readonly Tensor? _low; // [rank, other]

        public Choice(GradientSubspace term, Tensor all, OptimizerRun run, Tensor products, Tensor signs, int period)
        {
            (_term, _all, _products, _signs, _period) = (term, all, products, signs, period);
            _index = run.PerParameter("chosen", term.Parameter, term.Rank, DType.I32);
            _sums = run.Scratch(term.Side);
            _rows = run.Scratch((term.Rank, term.Side));
            if (run.Setting(Feedback) == 0)
                return;
            _error = run.PerParameter("error", term.Parameter);
            _low = run.Scratch((term.Rank, term.Other));
        }

        public Tensor At(long step)
        {
            Tensor gradient = _term.Parameter.Gradient!;
            if (_error is not null)
                Combine.Run(gradient, 1, _error, 1, gradient);
            if ((step - 1) % _period == 0)
                Choose(isFirst: step == 1);
            Rows.Gather(_all, _index, _rows);
            if (_error is not null)
                KeepError(gradient);
            return _rows;
        }

        /// <summary>Keeps the part of a gradient outside of the subspace.</summary>
        private void KeepError(Tensor gradient)
        {
            Gemm.Run(_rows, _term.Gradient, _low!);
            _error!.CopyFrom(gradient);
            if (_term.IsWide)
                Gemm.Run(Gemm.Transposed(_rows), _low!, _error, -1, 1);
            else
                Gemm.Run(Gemm.Transposed(_low!), _rows, _error, -1, 1);
        }

        private void Choose(bool isFirst)
        {
            using Tensor products = GradientSubspace.Part(_products, (_term.Side, _term.Other));
            using Tensor signs = GradientSubspace.Part(_signs, products.Shape);
            Gemm.Run(_all, _term.Gradient, products);
            ElementwiseMap.Forward(products, signs, MapFunction.Sign);
            BroadcastDot.Run(products, signs, _sums, Broadcast.PerRow);
            if (isFirst)
            {
                LargestEntries.Find(_sums, _index);
                return;
            }

            // Q is orthonormal, so that moments move to the new basis by being kept or dropped.
            Rows.Scatter(_term.FirstMoment, _index, products);
            Rows.Scatter(_term.SecondMoment, _index, signs);
            LargestEntries.Find(_sums, _index);
            Rows.Gather(products, _index, _term.FirstMoment);
            Rows.Gather(signs, _index, _term.SecondMoment);
        }
    }
}
