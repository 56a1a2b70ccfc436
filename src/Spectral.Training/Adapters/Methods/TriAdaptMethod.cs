using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;
using Spectral.Training.IO;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// TriAdaptLoRA: a LoRA whose first r rows of B are lower-triangular and whose first r columns of A are
/// upper-triangular. Every layer begins with a small rank; at intervals, layers with large gradients get one more.
/// </summary>
internal sealed class TriAdaptMethod : AdapterMethod
{
    private const string Active = "triadapt_active";
    private const string Importance = "triadapt_importance";
    private const string BeginRank = "begin-rank";
    private const string Interval = "interval";
    private const string Growing = "growing";
    private const string Low = "low";
    private const string High = "high";

    public override string Name => "triadapt";
    public override string Formula =>
        "W + (alpha/rank)·tril(B)·diag(m)·triu(A), m = 1 for the active ranks; each interval one more where "
        + "‖∂B, ∂A‖_F/√count > c·mean over layers, c from low to high along a line";
    public override string Source =>
        "Liang, Wang, Zeng, \"TriAdaptLoRA: Brain-Inspired Triangular Adaptive Low-Rank Adaptation for "
        + "Parameter-Efficient Fine-Tuning\", 2025, arXiv 2501.08008";
    public override string Use =>
        "Gives rank to the layers that ask for it, from a few ranks up to --rank. A new direction begins with a zero "
        + "column of B, so that growing does not change the model. Memory and time are those of LoRA at the full rank. "
        + "The scale is that of the full rank from the beginning.";
    public override bool IsPublishedForm => false;
    public override bool ActsBetweenSteps => true;

    public override IReadOnlyList<AdapterSetting> Settings { get; } =
    [
        AdapterSetting.Whole(BeginRank, 0, 0, 65536, "Rank of each layer at the beginning; 0: half of its rank."),
        AdapterSetting.Whole(Interval, 10, 1, 1000000, "Steps from one growth to the next."),
        new(Growing, 0.5, 0, 1, "Share of the run's steps in which ranks grow."),
        new(Low, 0.5, 0, 1e6, "Threshold at the first step, in multiples of the mean importance of all layers."),
        new(High, 1.5, 0, 1e6, "Threshold at the last step of growing."),
    ];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        int rank = layer.Rank;
        int begin = (int)layer.Setting(BeginRank);
        if (begin > rank)
            throw new InputException($"{BeginRank} {begin} for {layer.Module.Name}: expected at most its rank, {rank}");
        int first = begin > 0 ? begin : (rank + 1) / 2;
        Factor left = LoraMethod.Left(layer, rank);
        Factor right = layer.Trained(LoraNames.A, (rank, layer.In), Start.KaimingUniform);
        Factor active = layer.Frozen(
            Active,
            rank,
            Start.Values([.. Enumerable.Range(0, rank).Select(i => i < first ? 1f : 0f)])
        );
        layer.State(Importance, 1);
        return new AdapterForm { Terms = [new(Lower(left), Upper(right), layer.Options.Scale) { Middle = active }] };
    }

    /// <summary>Measures the importance of each layer, where ranks may grow after this step.</summary>
    public override void BeforeUpdate(AdapterStep step)
    {
        if (!Grows(step))
            return;
        foreach (AdaptedModule module in step.Modules)
        {
            // Inactive directions have zero gradients.
            Tensor squares = module.Factors[Importance].Master;
            Tensor left = module.Factors[LoraNames.B].Gradient!;
            Tensor right = module.Factors[LoraNames.A].Gradient!;
            double count = (double)Rank(module) * (module.Shape.Out + module.Shape.In);
            BroadcastDot.Run(left, left, squares, Broadcast.Single, (float)(1 / count));
            BroadcastDot.Run(right, right, squares, Broadcast.Single, (float)(1 / count), accumulate: true);
        }
    }

    public override bool AfterUpdate(AdapterStep step)
    {
        if (!Grows(step))
            return false;
        double[] importance =
        [
            .. step.Modules.Select(module => Math.Sqrt(module.Factors[Importance].Master.ToArray()[0])),
        ];
        double threshold = Threshold(step) * importance.Average();
        bool grew = false;
        foreach ((AdaptedModule module, double of) in step.Modules.Zip(importance))
        {
            int rank = Rank(module);
            if (!(of > threshold) || rank == module.Options.Rank)
                continue;
            float[] active = module.Factors[Active].Master.ToArray();
            active[rank] = 1;
            module.Factors[Active].Master.CopyFrom(active);
            grew = true;
        }
        return grew;
    }

    private bool Grows(AdapterStep step) =>
        step.Number % (int)step.Options.Setting(this, Interval) == 0
        && step.Number <= step.Options.Setting(this, Growing) * step.Total;

    /// <summary>Returns the threshold of a step, on the line from the first step to the last step of growing.</summary>
    private double Threshold(AdapterStep step)
    {
        (double low, double high) = (step.Options.Setting(this, Low), step.Options.Setting(this, High));
        return low + ((high - low) * step.Number / (step.Options.Setting(this, Growing) * step.Total));
    }

    /// <summary>Returns the number of active ranks of a layer, which are the first.</summary>
    private static int Rank(AdaptedModule module) => module.Factors[Active].Master.ToArray().Count(value => value == 1);

    private static Expression Lower(Factor x) => Triangle(x, (row, column) => row >= column, "lower triangle");

    private static Expression Upper(Factor x) => Triangle(x, (row, column) => column >= row, "upper triangle");

    /// <summary>Sets the entries of a matrix outside of a triangle to 0, and so their gradients.</summary>
    private static Expression Triangle(Factor x, Func<int, int, bool> isInside, string structure)
    {
        (int rows, int columns) = (x.Shape[0], x.Shape[1]);
        return x.Multiply(
            x.Table(
                x.Shape,
                structure,
                () => [.. Enumerable.Range(0, rows * columns).Select(i => isInside(i / columns, i % columns) ? 1f : 0f)]
            ),
            Broadcast.PerElement
        );
    }
}
