using Spectral.Kernels;
using Spectral.Kernels.Linalg;
using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Expressions;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// SoKA: a sum of Kronecker products that begins as the leading ones of the weight, which are subtracted again. They
/// come from the singular value decomposition of the rearranged weight. Products that a layer's spectrum does not ask
/// for begin at zero on both sides, and so stay there.
/// </summary>
internal sealed class SokaMethod : AdapterMethod
{
    private const string A = "soka_A";
    private const string B = "soka_B";
    private const string Size = "factor";
    private const string Energy = "energy";
    private const string Elbow = "elbow";

    public override string Name => "soka";
    public override string Formula =>
        "W + s·Σ_k (A_k ⊗ B_k - their start), k ≤ rank; they start as √(sigma_k/s)·u_k and √(sigma_k/s)·v_k of the "
        + "rearranged W";
    public override string Source => "SoKA, 2025";
    public override bool IsPublishedForm => false;
    public override string Use =>
        "PiSSA with Kronecker products: few numbers at high rank. The weight is recomputed each step, and its gradient "
        + "costs as much as in full fine-tuning.";

    public override IReadOnlyList<AdapterSetting> Settings { get; } =
    [
        AdapterSetting.Whole(Size, -1, -1, 65536, "Largest size of A_k; -1: A_k and B_k as close to square as can be."),
        new(Energy, 1, 0, 1, "Share of ‖W‖² that the products of a layer hold at least, if rank allows; 1: all train."),
        AdapterSetting.Switch(Elbow, false, "End a layer's products where the logarithm of sigma bends most."),
    ];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        Kronecker sizes = Sizes(layer.Module, layer.Options);
        (int rows, int columns) = (sizes.Rearranged[0], sizes.Rearranged[1]);
        int rank = layer.RankWithin(Math.Min(rows, columns));
        Factor a = layer.Trained(A, (rows, rank));
        Factor b = layer.Trained(B, (rank, columns));
        Factor startA = layer.Frozen(A + Factor.StartSuffix, a.Shape, Start.CopyOf(a));
        Factor startB = layer.Frozen(B + Factor.StartSuffix, b.Shape, Start.CopyOf(b));
        double scale = layer.Options.Scale;
        Expression change = a.MatMul(b, scale: scale).Subtract(startA.MatMul(startB, scale: scale));
        return new AdapterForm { Weight = layer.Weight.Add(sizes.Restore(change)) };
    }

    public override bool UsesSvd(AdapterOptions options) => true;

    public override void Initialize(IReadOnlyList<AdapterStart> starts)
    {
        foreach (AdapterStart start in starts)
        {
            Kronecker sizes = Sizes(start.Module, start.Options);
            using var wide = Tensor.Empty(start.Device, start.Weight.Shape);
            Cast.Run(start.Weight, wide);
            start.Release();
            using var rearranged = Tensor.Empty(start.Device, sizes.Rearranged);
            using (Tensor parts = wide.View(sizes.Parts))
            using (Tensor target = rearranged.View((sizes.Tall, sizes.Wide, sizes.High, sizes.Broad)))
                Permute.Run(parts, [0, 2, 1, 3], target);
            Begin(start, rearranged);
        }
    }

    private void Begin(AdapterStart start, Tensor rearranged)
    {
        using SvdResult svd = Svd.Compute(
            [rearranged],
            start.Options.Rank,
            start.Options.Svd,
            new RandomizedSvdOptions { Seed = start.Options.Seed },
            [start.Stream(A)]
        )[0];
        using var norm = Tensor.Empty(start.Device, 1);
        WeightNorms.Whole(rearranged, norm);
        int count = Count(
            Array.ConvertAll(svd.S.ToArray(), value => (double)value),
            norm.ToArray()[0],
            start.Options.Setting(this, Energy),
            start.Options.Setting(this, Elbow) != 0
        );
        int[] which = [.. Enumerable.Range(0, start.Options.Rank)];
        float last = svd.S.ToArray()[count - 1];
        svd.CopyLeft(start[A], which, Weight);
        svd.CopyRight(start[B], which, Weight);

        double Weight(double sigma) => sigma >= last ? Math.Sqrt(sigma / start.Options.Scale) : 0;
    }

    /// <summary>Returns the number of products of a layer, at least 1.</summary>
    /// <param name="values">The leading singular values.</param>
    /// <param name="norm">The norm of the weight.</param>
    /// <param name="energy">The share of its square that they hold.</param>
    /// <param name="elbow">Whether to end before the largest second difference of their logarithms.</param>
    internal static int Count(double[] values, double norm, double energy, bool elbow)
    {
        int count = values.Length;
        if (energy < 1)
        {
            double held = 0;
            count = 1 + values.TakeWhile(value => (held += value * value) < energy * norm * norm).Count();
        }

        if (elbow && values.Length > 2)
        {
            double[] logarithms = [.. values.Select(value => Math.Log(Math.Max(value, double.Epsilon)))];
            int bend = Enumerable
                .Range(1, values.Length - 2)
                .MaxBy(k => logarithms[k - 1] - 2 * logarithms[k] + logarithms[k + 1]);
            count = Math.Min(count, bend);
        }

        return Math.Clamp(count, 1, values.Length);
    }

    private Kronecker Sizes(ModuleShape layer, AdapterOptions options) =>
        Kronecker.Of(layer, (int)options.Setting(this, Size));
}
