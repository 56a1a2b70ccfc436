using Spectral.Kernels;
using Spectral.Kernels.Linalg;
using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Files;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// CorDA: starts from the SVD of the weight in the metric of its inputs, W(Σ + δ·mean(diag Σ)·I) = U S V̄ᵀ. A triplet
/// contributes u (uᵀW) to W, so that L = U√(S/s) and R = UᵀW/√(s·S) equal the published U√(S/s) and √(S/s) V̄ᵀ(Σ + …)⁻¹
/// without computing the inverse. The start is subtracted again, so that W' = W at first.
/// </summary>
internal sealed class CordaMethod : AdapterMethod
{
    // The published method doubles δ until the inverse is accurate; no inverse is computed here.
    private const double Damping = 0.01;

    public override string Name => "corda";
    public override string Formula =>
        "W + (alpha/rank)·(B·A − B0·A0), B0 and A0 from the SVD of W·Σ, Σ the second moment of the layer's inputs";
    public override string Source => "Yang et al., 2024, arXiv 2406.05223";
    public override string Use =>
        "Trains the directions that the calibration data uses most (ipm) or least (kpm, by a full "
        + "SVD), which keeps what the model knows of that data.";
    public override string PeftType => AdapterConfig.Lora;
    public override string? PeftInit => "corda";
    public override bool StartsFromData => true;

    public override IReadOnlyList<AdapterSetting> Settings { get; } =
    [
        AdapterSetting.Choice(
            "mode",
            "Instruction preview takes the leading triplets, knowledge preservation the last ones.",
            "ipm",
            "kpm"
        ),
    ];

    public override AdapterForm Form(AdapterBuilder layer) =>
        new()
        {
            Terms = layer.Residual(
                layer.Trained(LoraNames.B, (layer.Out, layer.SpectralRank)),
                layer.Trained(LoraNames.A, (layer.Rank, layer.In)),
                layer.Options.Scale
            ),
        };

    // The last triplets need the exact SVD in any case.
    public override bool UsesSvd(AdapterOptions options) => !IsLast(options);

    public override void Initialize(IReadOnlyList<AdapterStart> starts)
    {
        IEnumerable<Tensor> moments = starts[0]
            .Calibration.InputSecondMoments([.. starts.Select(start => start.Module.Name)]);
        foreach ((AdapterStart start, Tensor moment) in starts.Zip(moments))
        {
            using (moment)
            using (var weight = Tensor.Empty(start.Device, start.Base.Shape))
            {
                MatrixCopy.Run(start.Weight, weight);
                start.Release();
                Fill(start, weight, moment);
            }
        }
    }

    private void Fill(AdapterStart start, Tensor weight, Tensor moment)
    {
        (int rank, int least) = (start.Options.Rank, Math.Min(weight.Dim(0), weight.Dim(1)));
        bool last = IsLast(start.Options);
        using var product = Tensor.Empty(weight.Device, weight.Shape);
        MatrixCopy.Run(weight, product, (float)(Damping * MeanDiagonal(moment)));
        Gemm.Run(weight, moment, product, 1, 1);
        var options = new RandomizedSvdOptions { Seed = start.Options.Seed, Stream = start.Stream("corda") };
        using SvdResult svd = Svd.Compute(
            product,
            last ? least : rank,
            last ? SvdMethod.Exact : start.Options.Svd,
            options
        );
        int[] which = [.. Enumerable.Range(last ? least - rank : 0, rank)];
        (Tensor left, double scale) = (start[LoraNames.B], start.Options.Scale);
        svd.CopyLeft(left, which, sigma => sigma == 0 ? 0 : 1 / Math.Sqrt(scale * sigma));
        Gemm.Run(Gemm.Transposed(left), weight, start[LoraNames.A]);
        svd.CopyLeft(left, which, sigma => Math.Sqrt(sigma / scale));
    }

    private bool IsLast(AdapterOptions options) => options.Setting(this, "mode") == 1;

    private static double MeanDiagonal(Tensor square)
    {
        int n = square.Dim(0);
        using Tensor elements = square.View((n * n, 1));
        using var diagonal = Tensor.Empty(square.Device, (n, 1));
        using var index = Tensor.From(square.Device, [.. Enumerable.Range(0, n).Select(i => i * (n + 1))], n);
        Rows.Gather(elements, index, diagonal);
        return diagonal.ToArray().Average(value => (double)value);
    }
}
