using Spectral.Kernels;
using Spectral.Kernels.Linalg;
using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Building;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// LIFT: the entries of the weight train that are largest in its best approximation of low rank, as many as a LoRA has
/// scalars. They are chosen anew every so many steps; those that stay keep their moments, and those that leave keep
/// what they have learned.
/// </summary>
internal sealed class LiftMethod : AdapterMethod
{
    private const string FilterRank = "filter-rank";
    private const string Interval = "interval";
    private const string Spare = "spare";

    public override string Name => "lift";
    public override string Formula =>
        "W + S, S zero except for rank·(in + out) trained entries: the largest of |SVD_k(W + S)|, k = filter-rank";
    public override string Source => "Liu et al., 2025, arXiv 2506.00772";
    public override string Use =>
        "Sparse fine-tuning of the weights that carry the leading directions, for reasoning tasks. Every choice costs "
        + "one SVD of each layer. Alpha is not used.";
    public override bool ActsBetweenSteps => true;

    public override IReadOnlyList<AdapterSetting> Settings { get; } =
    [
        AdapterSetting.Whole(FilterRank, 128, 1, 65536, "Rank of the approximation, at most the layer's smaller size."),
        AdapterSetting.Whole(
            Interval,
            100,
            0,
            1000000,
            "Steps from one choice to the next; 0: only one, at the start."
        ),
        new(
            Spare,
            0.25,
            0,
            16,
            "Room for entries that have left, as a share of those that train; without room an entry stays."
        ),
    ];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        long count = SparseMasks.LoraBudget(layer.Module, layer.Rank);
        AdapterForm form = SparseMasks.Form(layer, count);
        return layer.Setting(Interval) == 0 || layer.Setting(Spare) == 0
            ? form
            : SparseMasks.WithKept(layer, form, (long)Math.Ceiling(layer.Setting(Spare) * count));
    }

    public override bool UsesSvd(AdapterOptions options) => true;

    public override void Initialize(IReadOnlyList<AdapterStart> starts) =>
        SingularTriplets.Compute(
            starts,
            start => Rank(start.Options, start.Module),
            (start, svd) => Choose(svd, start[SparseMasks.Places])
        );

    public override bool AfterUpdate(AdapterStep step)
    {
        int interval = (int)step.Options.Setting(this, Interval);
        if (interval == 0 || step.Number % interval != 0 || step.Number == step.Total)
            return false;
        foreach (AdaptedModule module in step.Modules.Where(SparseMasks.CanMove))
        {
            using Tensor weight = module.Core.CopyWeight();
            using SvdResult svd = Svd.Compute(
                weight,
                Rank(module.Options, module.Shape),
                module.Options.Svd,
                new RandomizedSvdOptions { Seed = module.Options.Seed }
            );
            using var chosen = Tensor.Empty(weight.Device, module.Form.Entries[0].Places.Shape, DType.I32);
            Choose(svd, chosen);
            SparseMasks.Move(step, module, chosen.ToInt32Array());
        }

        return true;
    }

    private int Rank(AdapterOptions options, ModuleShape module) =>
        Math.Min((int)options.Setting(this, FilterRank), Math.Min(module.Out, module.In));

    private static void Choose(SvdResult svd, Tensor places)
    {
        using var left = Tensor.Empty(svd.U.Device, svd.U.Shape);
        using var product = Tensor.Empty(svd.U.Device, (svd.U.Dim(0), svd.Vt.Dim(1)));
        BroadcastMultiply.Run(svd.U, svd.S, left, Broadcast.PerColumn);
        Gemm.Run(left, svd.Vt, product);
        LargestEntries.Find(product, places);
    }
}
