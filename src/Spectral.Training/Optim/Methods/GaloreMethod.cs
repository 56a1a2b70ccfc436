using Spectral.Kernels;
using Spectral.Kernels.Linalg;
using Spectral.Training.Settings;

namespace Spectral.Training.Optim.Methods;

internal sealed class GaloreMethod : OptimizerMethod
{
    private const string Rank = "rank";
    private const string Period = "period";
    private const string Scale = "scale";

    public override string Name => "galore";

    public override string Formula =>
        "every T steps: P = the r singular vectors of g, on the smaller side of the matrix, with the largest values; "
        + "ĝ = Pᵀg; q = AdamW's quotient of ĝ; θ ← θ − ηωθ − ηα Pq";

    public override string Source =>
        "Zhao et al., \"GaLore: Memory-Efficient LLM Training by Gradient Low-Rank Projection\", 2024, arXiv "
        + "2403.03507; moments are kept where P changes";

    public override string Use =>
        "All values of a matrix train, with moments for r of its smaller side alone: for whole weights, where state is "
        + "what fills the memory. Vectors, and matrices with a side up to r, get AdamW. While a gradient is zero, as "
        + "that of A is at LoRA's first step, P waits for one that is not.";

    public override string GraphRefusal => "decomposes gradients every few steps";

    public override IReadOnlyList<Setting> Settings { get; } =
    [
        Setting.Whole(Rank, 4, 1, 65536, "Dimension r of the subspace; 4 and 8 in the paper's fine-tuning."),
        Setting.Whole(Period, 200, 1, 1_000_000, "T: steps from one decomposition to the next."),
        new(Scale, 0.25, 1e-4, 1e4, "α, the factor of steps in a subspace."),
    ];

    public override long StateBytes(Shape shape, IReadOnlyDictionary<string, double> settings)
    {
        int rank = (int)ValueOf(Rank, settings);
        return GradientSubspace.Fits(shape, rank)
            ? GradientSubspace.MomentBytes(shape, rank) + 4L * rank * Math.Min(shape[0], shape[1])
            : 8 * shape.Count;
    }

    internal override OptimizerRule Begin(OptimizerRun run)
    {
        (int rank, int period) = ((int)run.Setting(Rank), (int)run.Setting(Period));
        return GradientSubspace.Rule(
            run,
            rank,
            (float)run.Setting(Scale),
            term => new Projector(term, run.PerParameter("projector", term.Parameter, (rank, term.Side)), period).At
        );
    }

    /// <summary>The transpose of P, zeros until a gradient was not zero.</summary>
    private sealed class Projector(GradientSubspace term, Tensor rows, int period)
    {
        private long _last;
        private bool _isThere;

        public Tensor At(long step)
        {
            if (step != _last + 1) // the state was restored
                _isThere = false;
            _last = step;
            _isThere = _isThere || Array.Exists(rows.ToArray(), value => value != 0);
            if (!_isThere || (step - 1) % period == 0)
                _isThere |= Find();
            return rows;
        }

        private bool Find()
        {
            Tensor gradient = term.Parameter.Gradient!;
            using SvdResult triplets = RandomizedSvd.Compute(gradient, term.Rank);
            if (triplets.S.ToArray()[0] == 0)
                return false;
            if (term.IsWide)
                MatrixCopy.Transpose(triplets.U, rows);
            else
                rows.CopyFrom(triplets.Vt);
            return true;
        }
    }
}
