using Spectral.Kernels;
using Spectral.Kernels.Linalg;
using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// KORE: A is frozen in the null space N of inputs that stand for what the model knows, so that whatever B learns
/// changes nothing on them. B begins with what the weight does there, and this start is subtracted again.
/// </summary>
internal sealed class KoreMethod : AdapterMethod
{
    private const string Threshold = "threshold";

    public override string Name => "kore";
    public override string Formula =>
        "W + (alpha/rank)·(B - B0)·A, A frozen; (alpha/rank)·B0·A the best rank-r part of W·N·Nᵀ, N the "
        + "directions that the calibration inputs do not use";
    public override string Source => "Jiang et al., 2025, arXiv 2510.19316";
    public override bool IsPublishedForm => false;
    public override string Use =>
        "Learns new data without touching what the model does on --calibration-data, as far as these records leave "
        + "directions unused.";
    public override bool StartsFromData => true;
    public override bool CalibratesOnKept => true;
    public override TaskSequence Sequence => TaskSequence.FoldedBase;

    public override IReadOnlyList<AdapterSetting> Settings { get; } =
    [
        new(
            Threshold,
            1e-6,
            0,
            1,
            "Directions count as unused in which the inputs have at most this share of their largest second moment; "
                + "at least rank of them are taken."
        ),
    ];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        int rank = layer.SpectralRank;
        Factor left = layer.Trained(LoraNames.B, (layer.Out, rank));
        Factor start = layer.Frozen(LoraNames.B + Factor.StartSuffix, left.Shape, Start.CopyOf(left));
        Factor right = layer.Frozen(LoraNames.A, (rank, layer.In));
        return new AdapterForm { Terms = [new(left.Subtract(start), right, layer.Options.Scale)] };
    }

    public override bool UsesSvd(AdapterOptions options) => true;

    public override void Initialize(IReadOnlyList<AdapterStart> starts)
    {
        IEnumerable<Tensor> moments = starts[0]
            .Calibration.InputSecondMoments([.. starts.Select(start => start.Module.Name)]);
        foreach ((AdapterStart start, Tensor moment) in starts.Zip(moments))
        {
            using (moment)
                Begin(start, moment);
        }
    }

    private void Begin(AdapterStart start, Tensor moment)
    {
        (int rank, int inputs, double scale) = (start.Options.Rank, start.Module.In, start.Options.Scale);
        using SvdResult used = Svd.Compute(moment, inputs, SvdMethod.Exact);
        int first = Unused(used.S.ToArray(), start.Options.Setting(this, Threshold), rank);
        using Tensor unused = used.Vt.Rows(first, inputs - first);
        using var weight = Tensor.Empty(start.Device, start.Base.Shape);
        MatrixCopy.Run(start.Weight, weight);
        start.Release();
        using var there = Tensor.Empty(weight.Device, (start.Module.Out, inputs - first));
        Gemm.Run(weight, Gemm.Transposed(unused), there);
        var options = new RandomizedSvdOptions { Seed = start.Options.Seed, Stream = start.Stream(Name) };
        using SvdResult svd = Svd.Compute(there, rank, start.Options.Svd, options);
        using var within = Tensor.Empty(weight.Device, (rank, inputs - first));
        svd.CopyBalanced(start[LoraNames.B], within, [.. Enumerable.Range(0, rank)], scale);
        Gemm.Run(within, unused, start[LoraNames.A]);
        if (first == 0)
            return;
        // The product is orthogonal to the used directions up to the rounding of the decomposition; this leaves that of
        // A itself.
        using Tensor kept = used.Vt.Rows(0, first);
        Projection.RemoveRows(start[LoraNames.A], kept);
    }

    /// <summary>Returns the index of the first direction that counts as unused.</summary>
    private static int Unused(float[] moments, double threshold, int rank)
    {
        int first = Array.FindIndex(moments, moment => moment <= threshold * moments[0]);
        int most = moments.Length - rank;
        return first < 0 ? most : Math.Min(first, most);
    }
}
